import { expect } from 'chai';
import type { ExecRequest } from '../../gen/ts/wrenn/v1/process.js';
import { type Sandbox, SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import {
  type Account,
  plainSandbox,
  sandboxPage,
  useControlPlane,
} from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { answerOf, untilAborted } from '../support/fake-host-agent.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';

describe('SandboxService, ProcessService and FileService', () => {
  const test = useControlPlane();
  let account: Account;
  beforeEach(async () => {
    account = await test.signUp();
  });
  afterEach(() => test.agent.reset());

  it('create, show, use and delete a sandbox', async () => {
    const created = await create({ vcpus: 2, memoryMb: 256, metadata: { owner: 'me' } });
    expect(created).to.include({
      template: 'minimal',
      vcpus: 2,
      memoryMb: 256,
      hostId: 'fakehost',
    });
    expect(created.state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    expect(created.metadata).to.deep.equal({ owner: 'me' });
    expect(created.guestIp).to.not.equal('');
    expect(await get(created.sandboxId)).to.deep.equal(created);

    const result = await exec(created.sandboxId, 'echo', 'hello');
    expect(result).to.include({ stdoutText: 'echo hello\n', exitCode: 0 });

    const written = await test.clients.files.writeFile(
      { sandboxId: created.sandboxId, path: '/a', file: Buffer.from('content'), user: '', mode: 0 },
      account.asTeam,
    );
    expect(written).to.deep.equal({ path: '/a', sizeBytes: 7 });
    const body = await test.clients.files.readFile(
      { sandboxId: created.sandboxId, path: '/a' },
      account.asTeam,
    );
    expect(body.contentType).to.equal('application/octet-stream');
    expect(body.data.toString()).to.equal('content');

    await remove(created.sandboxId);
    expect(test.agent.sandboxes.has(created.sandboxId)).to.equal(false);
    expect(await reasonOf(get(created.sandboxId))).to.equal('SANDBOX_NOT_FOUND');
    expect(await reasonOf(remove(created.sandboxId))).to.equal('SANDBOX_NOT_FOUND');
  });

  it('fill in defaults and give the host the id, the environment and the timeout', async () => {
    const { sandboxId } = await create({ env: { TOKEN: 'x' }, timeoutSec: 60 });
    const request = test.agent.created.find((candidate) => candidate.sandboxId === sandboxId);
    expect(request).to.deep.include({
      ...{ template: 'minimal', vcpus: 1, memoryMb: 512, timeoutSec: 60, generation: 1 },
      env: { TOKEN: 'x' },
    });
  });

  it('store no value of the environment', async () => {
    const canary = randomId();
    await create({ env: { SECRET: canary } });
    const { rows } = await test.controlPlane.internal.database.query((knex) =>
      knex.raw('select row_to_json(sandboxes)::text as row from sandboxes'),
    );
    expect(JSON.stringify(rows)).not.to.include(canary);
  });

  it('finish a delete for which the host was away', async () => {
    const { sandboxId } = await create();
    await test.agent.stop();
    try {
      expect(await reasonOf(remove(sandboxId))).to.equal('HOST_UNAVAILABLE');
      expect((await get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_DELETING);
    } finally {
      await test.agent.start();
    }
    await eventually(async () => {
      expect(await reasonOf(get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
    });
    expect(test.agent.sandboxes.has(sandboxId)).to.equal(false);
  });

  it('finish a delete whose caller went away', async () => {
    const { sandboxId } = await create();
    const { promise: destroying, release } = gate();
    test.agent.script.beforeDestroy = () => destroying;
    const caller = new AbortController();
    const call = test.clients.sandboxes.deleteSandbox(
      { sandboxId },
      { ...account.asTeam, signal: caller.signal },
    );
    await eventually(async () => {
      expect((await get(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_DELETING);
    });
    caller.abort();
    await rejectionOf(call);
    release();
    await eventually(async () => {
      expect(await reasonOf(get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
    });
  });

  it('name the state of a sandbox that takes no commands', async () => {
    const booting = holdBoots();
    const call = rejectionOf(create());
    const sandboxId = await booting;
    const error = await rejectionOf(exec(sandboxId, 'true'));
    expect([error.code, error.reason]).to.deep.equal([Code.FAILED_PRECONDITION, 'SANDBOX_STATE']);
    expect(error.metadata).to.include({ state: 'STARTING', sandbox_id: sandboxId });
    await remove(sandboxId);
    await call;
  });

  it('count a ping as activity', async () => {
    const created = await create();
    const pinged = await test.clients.sandboxes.pingSandbox(
      { sandboxId: created.sandboxId },
      account.asTeam,
    );
    expect(timeOf(pinged.lastActiveAt)).to.be.at.least(timeOf(created.lastActiveAt));
    expect(
      await reasonOf(test.clients.sandboxes.pingSandbox({ sandboxId: 'unknown' }, account.asTeam)),
    ).to.equal('SANDBOX_NOT_FOUND');
  });

  it('note activity when the last one noted is old', async () => {
    const { sandboxId } = await create();
    const { database } = test.controlPlane.internal;
    await database.query((knex) =>
      knex('sandboxes')
        .where('id', sandboxId)
        .update({ last_active_at: new Date(0) }),
    );
    await exec(sandboxId, 'true');
    await eventually(async () => {
      expect(timeOf((await get(sandboxId)).lastActiveAt)).to.be.greaterThan(Date.now() - 60_000);
    });
  });

  describe('Exec', () => {
    it('gives the default time limit to the host, and the caller’s own', async () => {
      const limits: number[] = [];
      test.agent.script.exec = async ({ timeoutSec }) => {
        limits.push(timeoutSec);
        return answerOf('');
      };
      const { sandboxId } = await create();
      await exec(sandboxId, 'true');
      await test.clients.processes.exec(
        { ...execRequest(sandboxId, 'true'), timeoutSec: 7 },
        account.asTeam,
      );
      expect(limits).to.deep.equal([30, 7]);
    });

    it('leaves the text empty where the output is no UTF-8', async () => {
      test.agent.script.exec = async () =>
        answerOf(Buffer.from([0xff, 0xfe]), { stderr: Buffer.from('é') });
      const { sandboxId } = await create();
      const result = await exec(sandboxId, 'true');
      expect([...result.stdout]).to.deep.equal([0xff, 0xfe]);
      expect(result).to.include({ stdoutText: '', stderrText: 'é' });
    });

    it('carries the largest outputs that a host gives', async () => {
      const output = Buffer.alloc(1_000_000, 'x');
      test.agent.script.exec = async () =>
        answerOf(output, { stderr: output, stdoutTruncated: true, stderrTruncated: true });
      const { sandboxId } = await create();
      const result = await exec(sandboxId, 'true');
      expect(result.stdout.equals(output) && result.stderr.equals(output)).to.equal(true);
      expect(result).to.include({ stdoutTruncated: true, stderrTruncated: true });
    });

    it('ends on the host when the caller goes away', async () => {
      let ended = false;
      const { promise: started, release } = gate();
      test.agent.script.exec = async (_request, signal) => {
        release();
        return untilAborted(signal).finally(() => {
          ended = true;
        });
      };
      const { sandboxId } = await create();
      const caller = new AbortController();
      const call = test.clients.processes.exec(execRequest(sandboxId, 'sleep'), {
        ...account.asTeam,
        signal: caller.signal,
      });
      await started;
      caller.abort();
      await rejectionOf(call);
      await eventually(() => expect(ended).to.equal(true));
    });

    it('gives a caller the reason of the host and none of its words', async () => {
      test.agent.script.exec = async () => {
        throw new WrennError(Code.NOT_FOUND, 'COMMAND_NOT_FOUND', 'words of the guest');
      };
      const { sandboxId } = await create();
      const error = await rejectionOf(exec(sandboxId, 'nope'));
      expect([error.code, error.reason]).to.deep.equal([Code.NOT_FOUND, 'COMMAND_NOT_FOUND']);
      expect(error.message).not.to.include('words of the guest');
    });
  });

  describe('ListSandboxes', () => {
    it('gives each sandbox once, newest first, while others come and go', async () => {
      const owner = await test.signUp();
      const createHere = () => test.clients.sandboxes.createSandbox(plainSandbox(), owner.asTeam);
      const there: string[] = [];
      for (let index = 0; index < 9; index += 1) there.unshift((await createHere()).sandboxId);

      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await test.clients.sandboxes.listSandboxes(
          sandboxPage({ pageSize: 2, pageToken }),
          owner.asTeam,
        );
        expect(page.sandboxes.length).to.be.at.most(2);
        seen.push(...page.sandboxes.map(({ sandboxId }) => sandboxId));
        pageToken = page.nextPageToken;
        await createHere();
        if (seen.length === 4) {
          await test.clients.sandboxes.deleteSandbox({ sandboxId: seen[3] ?? '' }, owner.asTeam);
        }
      } while (pageToken !== '');
      expect(seen).to.deep.equal(there);
    });

    it('orders sandboxes of the same moment, so that pages meet without a gap', async () => {
      const owner = await test.signUp();
      for (let index = 0; index < 6; index += 1) {
        await test.clients.sandboxes.createSandbox(plainSandbox(), owner.asTeam);
      }
      await test.controlPlane.internal.database.query((knex) =>
        knex('sandboxes')
          .where('team_id', owner.session.team?.teamId)
          .update({ created_at: new Date('2026-01-01T00:00:00.123Z') }),
      );
      const seen = new Set<string>();
      let pageToken = '';
      do {
        const page = await test.clients.sandboxes.listSandboxes(
          sandboxPage({ pageSize: 1, pageToken }),
          owner.asTeam,
        );
        for (const { sandboxId } of page.sandboxes) seen.add(sandboxId);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(seen.size).to.equal(6);
    });

    it('refuses a token that it never gave', async () => {
      const call = test.clients.sandboxes.listSandboxes(
        sandboxPage({ pageToken: 'x' }),
        account.asTeam,
      );
      expect(await reasonOf(call)).to.equal('INVALID_REQUEST');
    });
  });

  /** Boots wait until they are called off. @returns the id of the first that does. */
  function holdBoots(): Promise<string> {
    return new Promise((resolve) => {
      test.agent.script.beforeBoot = async ({ sandboxId }, signal) => {
        resolve(sandboxId);
        await untilAborted(signal);
      };
    });
  }

  function create(fields: Parameters<typeof plainSandbox>[0] = {}): Promise<Sandbox> {
    return test.clients.sandboxes.createSandbox(plainSandbox(fields), account.asTeam);
  }

  function get(sandboxId: string): Promise<Sandbox> {
    return test.clients.sandboxes.getSandbox({ sandboxId }, account.asTeam);
  }

  function remove(sandboxId: string) {
    return test.clients.sandboxes.deleteSandbox({ sandboxId }, account.asTeam);
  }

  function exec(sandboxId: string, cmd: string, ...args: string[]) {
    return test.clients.processes.exec(execRequest(sandboxId, cmd, ...args), account.asTeam);
  }
});

function execRequest(sandboxId: string, cmd: string, ...args: string[]): ExecRequest {
  const nothing = { env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
  return { sandboxId, cmd, args, timeoutSec: 0, ...nothing };
}

function timeOf(timestamp: Sandbox['lastActiveAt']): number {
  return timestamp ? fromTimestamp(timestamp) : 0;
}

/** A promise that the test resolves. */
function gate(): { promise: Promise<void>; release: () => void } {
  let release: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release: () => release() };
}
