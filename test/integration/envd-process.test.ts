/** Programs that the real guest daemon runs on this machine. */
import { setMaxListeners } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROGRAMS_MAX } from '../../envd/process/process-service.js';
import { Code, hasReason, type Reason, WrennError } from '../../lib/errors/index.js';
import {
  collect,
  type EnvdProcess,
  initializeEnvd,
  isAlive,
  residentBytes,
  startEnvd,
} from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';

const MIB = 1024 * 1024;

describe('envd running programs', () => {
  let envd: EnvdProcess;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
  });

  after(async () => {
    await envd?.stop();
  });

  it('tells the start, the output and the end of a program, in this order', async () => {
    const result = await envd.run({ cmd: 'echo', args: ['hello', 'a b'] });

    expect(result.kinds).to.deep.equal(['started', 'stdout', 'exited']);
    expect(result.pid).to.be.greaterThan(0);
    expect(result).to.include({ stdout: 'hello a b\n', stderr: '', exitCode: 0, signal: '' });
  });

  it('keeps the two outputs apart and gives the exit code', async () => {
    const result = await envd.run({ cmd: 'sh', args: ['-c', 'echo out; echo err >&2; exit 3'] });

    expect(result).to.include({ stdout: 'out\n', stderr: 'err\n', exitCode: 3, timedOut: false });
  });

  it('names the signal that ended a program', async () => {
    const result = await envd.run({ cmd: 'sh', args: ['-c', 'kill -TERM $$'] });

    expect(result).to.include({ exitCode: 143, signal: 'SIGTERM' });
  });

  it('gives the input and then its end', async () => {
    const stdin = Buffer.alloc(MIB, 'x');

    const result = await envd.run({ cmd: 'wc', args: ['-c'], stdin });

    expect(result.stdout.trim()).to.equal(String(MIB));
  });

  it('gives an empty input when there is none', async () => {
    expect(await envd.run({ cmd: 'cat' })).to.include({ stdout: '', exitCode: 0 });
  });

  it('does not mind a program that leaves its input unread', async () => {
    const result = await envd.run({ cmd: 'true', stdin: Buffer.alloc(MIB) });

    expect(result.exitCode).to.equal(0);
  });

  it('lets a program open its input and outputs by name', async () => {
    const script = 'echo err > /dev/stderr; cat /dev/stdin > /dev/stdout';

    const result = await envd.run({ cmd: 'sh', args: ['-c', script], stdin: Buffer.from('in') });

    expect(result).to.include({ stdout: 'in', stderr: 'err\n', exitCode: 0 });
  });

  it('loses nothing of what a program writes last', async () => {
    const size = 3 * MIB;

    const result = await envd.run({ cmd: 'head', args: ['-c', String(size), '/dev/zero'] });

    expect(result.stdout.length).to.equal(size);
    expect(result.kinds.at(-1)).to.equal('exited');
  });

  it('reports the end of a program that leaves another one in the background', async () => {
    const pidPath = join(envd.directory, 'background-pid');
    const script = `sleep 300 & echo $! > ${pidPath}; echo done`;

    const result = await envd.run({ cmd: 'sh', args: ['-c', script] });

    const pid = Number(await readFile(pidPath, 'utf8'));
    expect(result).to.include({ stdout: 'done\n', exitCode: 0 });
    expect(await isAlive(pid)).to.equal(true);
    process.kill(pid, 'SIGKILL');
  });

  it('lets a program in the background print on after the call has ended', async () => {
    const pidPath = join(envd.directory, 'printing-pid');
    const loop = `(while true; do echo more || exit; sleep 0.05; done) & echo $! > ${pidPath}`;

    await envd.run({ cmd: 'sh', args: ['-c', loop] });

    const pid = Number(await readFile(pidPath, 'utf8'));
    const before = await writtenBytes(pid);
    await eventually(async () => expect(await writtenBytes(pid)).to.be.greaterThan(before));
    process.kill(pid, 'SIGKILL');
  });

  it('ends the call although a program in the background prints without end', async () => {
    const pidPath = join(envd.directory, 'yes-pid');

    const result = await envd.run({ cmd: 'sh', args: ['-c', `yes & echo $! > ${pidPath}`] });

    expect(result.exitCode).to.equal(0);
    process.kill(Number(await readFile(pidPath, 'utf8')), 'SIGKILL');
  });

  it('kills the whole group when the time is over', async () => {
    const pidPath = join(envd.directory, 'timeout-pid');
    const script = `sleep 300 & echo $! > ${pidPath}; wait`;

    const result = await envd.run({ cmd: 'sh', args: ['-c', script], timeoutMs: 300 });

    expect(result).to.include({ exitCode: 137, signal: 'SIGKILL', timedOut: true });
    const pid = Number(await readFile(pidPath, 'utf8'));
    await eventually(async () => expect(await isAlive(pid)).to.equal(false));
  });

  it('kills the whole group when the caller goes away', async () => {
    const pidPath = join(envd.directory, 'cancel-pid');
    const script = `sleep 300 & echo $! > ${pidPath}; echo ready; wait`;
    const cancel = new AbortController();
    let leader = 0;
    try {
      for await (const { event } of envd.start(
        { cmd: 'sh', args: ['-c', script] },
        cancel.signal,
      )) {
        if (event?.$case === 'started') leader = event.value.pid;
        if (event?.$case === 'stdout') cancel.abort();
      }
    } catch (error) {
      expect(hasReason(error, 'CANCELLED')).to.equal(true);
    }

    const pid = Number(await readFile(pidPath, 'utf8'));
    await eventually(async () => {
      expect(await isAlive(leader)).to.equal(false);
      expect(await isAlive(pid)).to.equal(false);
    });
  });

  it('holds a program back whose output nobody takes, and needs no memory for it', async function () {
    this.timeout(60_000);
    const size = 100 * MIB;
    const before = await residentBytes(envd.pid);
    let taken = 0;
    let largest = before;

    for await (const { event } of envd.start({
      cmd: 'head',
      args: ['-c', String(size), '/dev/zero'],
    })) {
      if (event?.$case !== 'stdout') continue;
      taken += event.value.length;
      // A turn of the event loop for each piece makes a slow reader.
      await new Promise((resolve) => setImmediate(resolve));
      if (taken % (4 * MIB) < event.value.length) {
        largest = Math.max(largest, await residentBytes(envd.pid));
      }
    }

    expect(taken).to.equal(size);
    expect(largest - before).to.be.lessThan(48 * MIB);
  });

  it('stops a program while nobody reads at all', async () => {
    const events = envd.start({ cmd: 'yes' })[Symbol.asyncIterator]();
    const started = await events.next();
    const pid = started.value?.event?.$case === 'started' ? started.value.event.value.pid : 0;

    await eventually(async () => {
      expect(await readFile(`/proc/${pid}/wchan`, 'utf8')).to.match(/pipe/);
    });

    const written = await writtenBytes(pid);
    await events.return?.(undefined);
    expect(written).to.be.lessThan(16 * MIB);
    await eventually(async () => expect(await isAlive(pid)).to.equal(false));
  });

  it("sets the user's variables, the sandbox's over them and the call's over both", async () => {
    await using other = await startEnvd({ initialize: false });
    const env = { LEVEL: 'sandbox', SHARED: 'sandbox' };
    await initializeEnvd(other, env);

    const { stdout } = await other.run({ cmd: 'env', env: { LEVEL: 'call', HOME: '/elsewhere' } });

    const values = new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
    );
    expect(Object.fromEntries(values)).to.include({
      LEVEL: 'call',
      SHARED: 'sandbox',
      HOME: '/elsewhere',
      USER: 'root',
      LOGNAME: 'root',
    });
    expect(values.get('PATH')).to.match(/^\/usr\/local\/sbin:/);
    expect(values.has('NODE_OPTIONS')).to.equal(false);
  });

  it('takes the working directory of the call, else the home of the user', async () => {
    const folder = join(envd.directory, 'work');
    await mkdir(folder);

    expect((await envd.run({ cmd: 'pwd', cwd: folder })).stdout).to.equal(`${folder}\n`);
    expect((await envd.run({ cmd: 'pwd' })).stdout).to.equal('/root\n');
  });

  it('runs many programs side by side', async () => {
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, index) => envd.run({ cmd: 'echo', args: [String(index)] })),
    );

    expect(results.map(({ stdout }) => stdout)).to.deep.equal(
      Array.from({ length: 60 }, (_, index) => `${index}\n`),
    );
  });

  it('refuses one program more than may run, and takes it when one has ended', async function () {
    this.timeout(60_000);
    await using other = await startEnvd();
    const cancel = new AbortController();
    setMaxListeners(PROGRAMS_MAX, cancel.signal);
    const running = Array.from({ length: PROGRAMS_MAX }, () =>
      collect(other.start({ cmd: 'sleep', args: ['300'] }, cancel.signal)).catch(() => 'ended'),
    );
    const refused = await eventually(() => failure(other, { cmd: 'sleep', args: ['0.2'] }));

    cancel.abort();
    await Promise.all(running);

    expect(refused).to.include({ code: Code.FAILED_PRECONDITION, reason: 'COMMAND_NOT_STARTED' });
    expect(refused.metadata.failure).to.equal('program_limit');
    await eventually(async () => expect((await other.run({ cmd: 'true' })).exitCode).to.equal(0));
  });

  it('leaves no descriptor and no child behind', async () => {
    // The helper lives as long as the daemon; what makes pipes is soon gone.
    const helper = await eventually(async () => {
      const children = await childrenOf(envd.pid);
      expect(children).to.match(/^\d+$/);
      return children;
    });
    const before = await openDescriptors(envd.pid);
    for (let index = 0; index < 40; index += 1) {
      await envd.run({ cmd: 'cat', stdin: Buffer.from('x') });
      await failure(envd, { cmd: 'no-such-program' });
    }

    await eventually(async () => expect(await childrenOf(envd.pid)).to.equal(helper));
    await eventually(async () => expect(await openDescriptors(envd.pid)).to.be.at.most(before + 2));
  });

  describe('that cannot be started', () => {
    const cases: [string, () => Promise<object> | object, Code, Reason][] = [
      [
        'a name that is nowhere in PATH',
        () => ({ cmd: 'no-such' }),
        Code.NOT_FOUND,
        'COMMAND_NOT_FOUND',
      ],
      ['a path without a file', () => ({ cmd: '/no/such' }), Code.NOT_FOUND, 'COMMAND_NOT_FOUND'],
      [
        'a name in an empty PATH of its own',
        () => ({ cmd: 'env', env: { PATH: '/nonexistent' } }),
        Code.NOT_FOUND,
        'COMMAND_NOT_FOUND',
      ],
      ['a folder', () => ({ cmd: '/usr' }), Code.NOT_FOUND, 'COMMAND_NOT_FOUND'],
      [
        'a file without the right to be executed',
        () => ({ cmd: '/etc/passwd' }),
        Code.NOT_FOUND,
        'COMMAND_NOT_FOUND',
      ],
      [
        'a script whose interpreter is missing',
        () => script('#!/no/such/interpreter\n'),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'a working directory that is missing',
        () => ({ cmd: 'true', cwd: '/no/such' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'a working directory that is a file',
        () => ({ cmd: 'true', cwd: '/etc/passwd' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'a user who is unknown',
        () => ({ cmd: 'true', user: 'nobody-knows' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'arguments that the kernel does not take',
        () => ({ cmd: 'true', args: ['x'.repeat(MIB)] }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'a zero byte in an argument',
        () => ({ cmd: 'true', args: ['a\0b'] }),
        Code.INVALID_ARGUMENT,
        'INVALID_REQUEST',
      ],
    ];
    for (const [what, request, code, reason] of cases) {
      it(`says so for ${what}`, async () => {
        const error = await failure(envd, await request());

        expect(error).to.include({ code, reason });
      });
    }

    async function script(content: string): Promise<object> {
      const path = join(envd.directory, 'script');
      await writeFile(path, content, { mode: 0o755 });
      return { cmd: path };
    }
  });
});

async function failure(envd: EnvdProcess, request: object): Promise<WrennError> {
  try {
    await collect(envd.start(request));
  } catch (error) {
    if (error instanceof WrennError) return error;
    throw error;
  }
  throw new Error('the program was started');
}

/** Bytes that a process has written so far. */
async function writtenBytes(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8');
  return Number(/^wchar: (\d+)$/m.exec(io)?.[1]);
}

async function openDescriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

async function childrenOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim();
}
