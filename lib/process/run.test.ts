import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { eventually } from '../../test/support/eventually.js';
import { RUN_OUTPUT_GRACE_MS, RunError, run } from './run.js';

/** Longer than a test may take: what waits for it fails. */
const LONG_SEC = 300;
/** Prints its group's id and leaves a process behind that holds the output open. */
const LEAVES_ONE = `echo $$; sleep ${LONG_SEC} &`;
const WAITS_FOR_ONE = `${LEAVES_ONE} wait`;

describe('run', () => {
  it('gives what a program printed, and passes its input on', async () => {
    const result = await run('sh', ['-c', 'cat; echo oops >&2'], { input: 'hello' });
    expect(result).to.deep.equal({ stdout: 'hello', stderr: 'oops\n' });
  });

  it('rejects with the exit code and the output of a program that fails', async () => {
    const error = await failureOf(run('sh', ['-c', 'echo out; echo oops >&2; exit 3']));
    expect(error).to.include({ exitCode: 3, signal: null, stdout: 'out\n', stderr: 'oops\n' });
  });

  it('rejects with ENOENT when there is no such program', async () => {
    expect(await failureOf(run('/nowhere/program', []))).to.include({ code: 'ENOENT' });
  });

  it('kills what a program has started with it when the time is over', async () => {
    const error = await failureOf(run('sh', ['-c', WAITS_FOR_ONE], { timeoutMs: 300 }));
    expect(error.signal).to.equal('SIGKILL');
    await untilGone(Number(error.stdout));
  });

  it('kills what a program has started with it when the caller goes away', async () => {
    const cancel = new AbortController();
    const running = run('sh', ['-c', WAITS_FOR_ONE], {
      signal: cancel.signal,
      onOutput: () => cancel.abort(),
    });
    const error = await failureOf(running);
    expect(error).to.include({ code: 'ABORT_ERR', signal: 'SIGKILL' });
    await untilGone(Number(error.stdout));
  });

  it('starts nothing for a caller that is gone', async () => {
    const signal = AbortSignal.abort();
    expect(await failureOf(run('sh', ['-c', 'echo out'], { signal }))).to.include({
      code: 'ABORT_ERR',
      stdout: '',
    });
  });

  it('does not wait for a process that a program leaves behind with its output', async () => {
    const { stdout } = await run('sh', ['-c', LEAVES_ONE]);
    process.kill(-Number(stdout), 'SIGKILL');
  });

  it('reads all output of a program that has ended while this process was busy', async () => {
    let pieces = 0;
    const onOutput = () => {
      pieces += 1;
      if (pieces === 1) block(RUN_OUTPUT_GRACE_MS * 2);
    };
    const script = 'echo first; sleep 0.1; echo second';
    expect((await run('sh', ['-c', script], { onOutput })).stdout).to.equal('first\nsecond\n');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`ends its programs with this process at ${signal}`, async () => {
      const parent = await startParent('');
      parent.child.kill(signal);
      const [, endedBy] = await once(parent.child, 'exit');
      expect(endedBy).to.equal(signal);
      await untilGone(parent.groupId);
    });
  }

  it('ends its programs when this process exits', async () => {
    const parent = await startParent('process.stdin.once("data", () => process.exit(0));');
    parent.child.stdin.write('exit');
    await untilGone(parent.groupId);
  });

  it('leaves its programs to a process that ends in an order of its own', async () => {
    const parent = await startParent('process.once("SIGINT", () => console.log("stopping"));');
    const told = once(parent.child.stdout, 'data');
    parent.child.kill('SIGINT');
    expect(String((await told)[0])).to.equal('stopping\n');
    expect(await membersOf(parent.groupId)).not.to.deep.equal([]);
    parent.child.kill('SIGTERM');
    await untilGone(parent.groupId);
  });
});

async function failureOf(running: Promise<unknown>): Promise<RunError> {
  const error = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RunError) return error;
  throw error ?? new Error('the program did not fail');
}

function block(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

/** Another process that runs a long program; resolves when that is under way. */
async function startParent(preparation: string) {
  const module = JSON.stringify(new URL('run.ts', import.meta.url).href);
  const args = JSON.stringify(['-c', WAITS_FOR_ONE]);
  const program = `import { run } from ${module}; ${preparation}
    await run('sh', ${args}, { onOutput: (chunk) => process.stdout.write(chunk) });`;
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, groupId: Number(chunk) };
}

function untilGone(groupId: number): Promise<void> {
  expect(groupId).to.be.greaterThan(1);
  return eventually(async () => {
    expect(await membersOf(groupId)).to.deep.equal([]);
  });
}

/** Processes of a group that live; one that nobody has waited for yet does not. */
async function membersOf(groupId: number): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lives = await Promise.all(
    processes.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      // After the name in brackets: state, parent, group.
      const [state, , group] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return Number(group) === groupId && state !== 'Z';
    }),
  );
  return processes.filter((_, index) => lives[index]);
}
