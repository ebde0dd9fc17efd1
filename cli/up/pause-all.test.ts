import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { SandboxState as State } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type ListedHost, withListedHost } from '../../test/support/listed-host.js';
import { CliError } from '../failure.js';
import type { CliIo } from '../io.js';
import { pauseAll } from './pause-all.js';

/** Somebody at a terminal who types an answer, or nobody. */
function terminal(answer?: string): CliIo & { said: () => string } {
  const stdin: CliIo['stdin'] = new PassThrough();
  if (answer !== undefined) {
    stdin.isTTY = true;
    (stdin as PassThrough).write(`${answer}\n`);
  }
  const chunks: string[] = [];
  const stderr = new PassThrough().on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const stdout = new PassThrough();
  return { stdin, stdout, stderr, environment: {}, said: () => chunks.join('') };
}

/** One that can be paused, and one that cannot. */
async function withStubbornSandbox(
  use: (host: ListedHost, socketPath: string) => Promise<void>,
): Promise<void> {
  await withListedHost(async (host, socketPath) => {
    host.add('good', State.SANDBOX_STATE_RUNNING);
    host.add('stubborn', State.SANDBOX_STATE_RUNNING, 3);
    host.beforePause = (id) => {
      if (id === 'stubborn') throw new WrennError(Code.INTERNAL, 'PAUSE_FAILED', 'failed');
    };
    await use(host, socketPath);
  });
}

const refusalOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('pauseAll', () => {
  it('asks nothing when all can be paused', async () => {
    await withListedHost(async (host, socketPath) => {
      host.add('a', State.SANDBOX_STATE_RUNNING);
      const outcome = await pauseAll(socketPath, terminal(), false);
      expect(outcome).to.deep.equal({ paused: 1, deleted: 0 });
    });
  });

  it('names what cannot be paused, and deletes it after a yes', async () => {
    await withStubbornSandbox(async (host, socketPath) => {
      const io = terminal('y');
      const outcome = await pauseAll(socketPath, io, false);
      expect(outcome).to.deep.equal({ paused: 1, deleted: 1 });
      expect(io.said()).to.include('stubborn cannot be paused: PAUSE_FAILED');
      expect(host.calls.at(-1)).to.equal('destroy stubborn 3');
      expect([...host.sandboxes.keys()]).to.deep.equal(['good']);
    });
  });

  it('leaves it running when the answer is no, or nobody can be asked', async () => {
    for (const answer of ['n', '', undefined]) {
      await withStubbornSandbox(async (host, socketPath) => {
        const refusal = await refusalOf(pauseAll(socketPath, terminal(answer), false));
        expect(refusal).to.be.instanceOf(CliError);
        expect((refusal as CliError).hint).to.include('--yes');
        expect([...host.sandboxes.keys()]).to.deep.equal(['good', 'stubborn']);
      });
    }
  });

  it('deletes it without a question when it is told to', async () => {
    await withStubbornSandbox(async (_, socketPath) => {
      const outcome = await pauseAll(socketPath, terminal(), true);
      expect(outcome).to.deep.equal({ paused: 1, deleted: 1 });
    });
  });
});
