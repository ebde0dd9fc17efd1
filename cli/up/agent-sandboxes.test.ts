import { join } from 'node:path';
import { expect } from 'chai';
import { SandboxState as State } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { withListedHost as withHost } from '../../test/support/listed-host.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { destroySandboxes, pauseSandboxes } from './agent-sandboxes.js';

const pause = (socketPath: string) => pauseSandboxes(socketPath, () => undefined);

describe('pauseSandboxes', () => {
  it('pauses what runs, with the generation that the agent has, and nothing else', async () => {
    await withHost(async (host, socketPath) => {
      host.add('running', State.SANDBOX_STATE_RUNNING, 7);
      host.add('paused', State.SANDBOX_STATE_PAUSED);
      host.add('ended', State.SANDBOX_STATE_ENDED);
      host.add('stopping', State.SANDBOX_STATE_STOPPING);
      const told: string[] = [];
      const outcome = await pauseSandboxes(socketPath, (id) => told.push(id));
      expect(outcome).to.deep.equal({ paused: ['running'], unpaused: [] });
      expect(told).to.deep.equal(['running']);
      expect(host.calls).to.deep.equal(['pause running 7']);
    });
  });

  it('waits for what starts or comes back, and pauses it then', async () => {
    await withHost(async (host, socketPath) => {
      host.add('starting', State.SANDBOX_STATE_STARTING);
      host.add('resuming', State.SANDBOX_STATE_RESUMING);
      let lists = 0;
      host.beforeList = () => {
        lists += 1;
        if (lists === 2) host.add('starting', State.SANDBOX_STATE_RUNNING);
        if (lists === 3) host.add('resuming', State.SANDBOX_STATE_RUNNING);
      };
      const { paused } = await pause(socketPath);
      expect(paused).to.deep.equal(['starting', 'resuming']);
    });
  });

  it('waits until the agent knows all of its sandboxes', async () => {
    await withHost(async (host, socketPath) => {
      host.complete = false;
      let lists = 0;
      host.beforeList = () => {
        lists += 1;
        if (lists < 2) return;
        if (lists === 2) host.add('found', State.SANDBOX_STATE_RUNNING);
        host.complete = true;
      };
      expect((await pause(socketPath)).paused).to.deep.equal(['found']);
    });
  });

  it('names what cannot be paused, and why, and pauses the others', async () => {
    await withHost(async (host, socketPath) => {
      for (const id of ['a', 'b', 'c']) host.add(id, State.SANDBOX_STATE_RUNNING);
      host.beforePause = (id) => {
        if (id === 'b') throw new WrennError(Code.INTERNAL, 'PAUSE_FAILED', 'failed');
      };
      const { paused, unpaused } = await pause(socketPath);
      expect(paused).to.have.members(['a', 'c']);
      expect(unpaused).to.deep.equal([{ sandboxId: 'b', reason: 'PAUSE_FAILED' }]);
    });
  });

  it('has nothing to say of a sandbox that ended meanwhile', async () => {
    await withHost(async (host, socketPath) => {
      host.add('a', State.SANDBOX_STATE_RUNNING);
      host.beforePause = (id) => {
        host.sandboxes.delete(id);
        throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'gone');
      };
      expect(await pause(socketPath)).to.deep.equal({ paused: [], unpaused: [] });
    });
  });

  it('gives up on a sandbox that somebody resumes again and again', async () => {
    await withHost(async (host, socketPath) => {
      host.add('a', State.SANDBOX_STATE_RUNNING);
      host.beforeList = () => host.add('a', State.SANDBOX_STATE_RUNNING);
      const { paused, unpaused } = await pause(socketPath);
      expect(paused).to.deep.equal([]);
      expect(unpaused).to.deep.equal([{ sandboxId: 'a', reason: 'RUNNING' }]);
    });
  });

  it('fails when no agent answers', async () => {
    await using directory = await temporaryDirectory();
    const outcome = await pauseSandboxes(join(directory.path, 'none.sock'), () => undefined).catch(
      (error: unknown) => error,
    );
    expect(outcome).to.be.instanceOf(WrennError).with.property('code', Code.UNAVAILABLE);
  });
});

describe('destroySandboxes', () => {
  it('ends all of them, or those that are named', async () => {
    await withHost(async (host, socketPath) => {
      host.add('a', State.SANDBOX_STATE_RUNNING, 2);
      host.add('b', State.SANDBOX_STATE_PAUSED, 3);
      expect(await destroySandboxes(socketPath, new Set(['a', 'unknown']))).to.equal(1);
      expect(await destroySandboxes(socketPath)).to.equal(1);
      expect(host.calls).to.deep.equal(['destroy a 2', 'destroy b 3']);
    });
  });
});
