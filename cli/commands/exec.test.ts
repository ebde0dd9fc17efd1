import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import {
  ExecRequest,
  ExecResponse,
  ExitReason,
  Process,
  type ProcessSpec,
  Signal,
  type StartRequest,
} from '../../gen/ts/wrenn/v1/process.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';
import { eventually } from '../../test/support/eventually.js';
import { exited, inputOf, OneProgram, output, started } from '../../test/support/one-program.js';

/** A program whose conversations a test scripts, one after the other. */
async function withProgram(
  script: ConstructorParameters<typeof OneProgram>,
  use: (cli: CommandLine, program: OneProgram) => Promise<void>,
): Promise<void> {
  const program = new OneProgram(...script);
  await using server = await startApiServer({ processes: { execStream: program.execStream } });
  await using cli = await commandLine(server.address);
  await use(cli, program);
}

/** The specification of the first conversation. */
function specOf({ firsts }: OneProgram): ProcessSpec | undefined {
  const first = firsts[0];
  return first?.$case === 'start' ? first.value : undefined;
}

describe('wrenn exec', () => {
  it('passes everything behind -- to the program, options too', async () => {
    const script = async function* () {
      yield* [started(), exited(0)];
    };
    await withProgram([script], async (cli, program) => {
      const options = ['--timeout', '5', '--env', 'A=1', '--cwd', '/tmp', '--user', 'nobody'];
      await cli.run(['exec', ...options, 'sb1', '--', 'ls', '-l', '--json', '--', 'x']);
      expect(specOf(program)).to.deep.include({
        cmd: 'ls',
        args: ['-l', '--json', '--', 'x'],
        timeoutSec: 5,
        env: { A: '1' },
        cwd: '/tmp',
        user: 'nobody',
        pty: undefined,
        closeStdin: true,
      });
    });
  });

  it('is the same under its long name', async () => {
    const script = async function* () {
      yield* [started(), output('stdout', 0, 'out'), output('stderr', 3, 'err'), exited(42)];
    };
    await withProgram([script], async (cli) => {
      const outcome = await cli.run(['sandbox', 'exec', 'sb1', '--', 'true']);
      expect(outcome).to.deep.equal({ exitCode: 42, stdout: 'out', stderr: 'err' });
    });
  });

  it('shows output as it comes', async () => {
    const stdout = new PassThrough();
    const script = async function* () {
      yield* [started(), output('stdout', 0, 'first')];
      // The program goes on only when its first output has been seen.
      await eventually(() => expect(stdout.read()?.toString()).to.equal('first'));
      yield exited(0);
    };
    await withProgram([script], async (cli) => {
      expect((await cli.run(['exec', 'sb1', '--', 'x'], '', { stdout })).exitCode).to.equal(0);
    });
  });

  it('sends standard input, and its end, only when asked to', async () => {
    const cat = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      yield output('stdout', 0, await inputOf(requests));
      yield exited(0);
    };
    const noInput = async function* () {
      yield* [started(), exited(0)];
    };
    await withProgram([noInput, cat], async (cli, program) => {
      expect((await cli.run(['exec', 'sb1', '--', 'cat'], 'data')).stdout).to.equal('');
      const large = 'x'.repeat(300_000);
      const asked = await cli.run(['exec', '-i', 'sb1', '--', 'cat'], large);
      expect(asked.stdout === large).to.equal(true);
      const specs = program.firsts.map((first) => first?.value as ProcessSpec);
      expect(specs.map(({ closeStdin }) => closeStdin)).to.deep.equal([true, false]);
    });
  });

  it('ends with 124 when the program ran into its --timeout', async () => {
    const script = async function* () {
      yield* [started(), exited(137, ExitReason.EXIT_REASON_TIMEOUT)];
    };
    await withProgram([script], async (cli) => {
      const { exitCode } = await cli.run(['exec', '--timeout', '1', 'sb1', '--', 'x']);
      expect(exitCode).to.equal(124);
    });
  });

  it('sends Ctrl-C on, and leaves the program at a second one', async () => {
    const [signals, stdout] = [new EventEmitter(), new PassThrough()];
    const script = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      signals.emit('SIGINT');
      for await (const { message } of requests) {
        if (message?.$case !== 'signal') continue;
        yield output('stdout', 0, Signal[message.value] ?? '');
        await eventually(() => expect(stdout.read()?.toString()).to.equal('SIGNAL_INT'));
        signals.emit('SIGINT');
      }
    };
    await withProgram([script], async (cli) => {
      const left = await cli.run(['exec', 'sb1', '--', 'x'], '', { signals, stdout });
      expect(left.exitCode).to.equal(130);
      expect(left.stderr).to.include('wrenn attach sb1 p1 --offset 10');
      expect(signals.listenerCount('SIGINT')).to.equal(0);
    });
  });

  for (const [reason, code] of [
    ['COMMAND_NOT_STARTED', 126],
    ['COMMAND_NOT_FOUND', 127],
    ['SANDBOX_NOT_FOUND', 1],
  ] as [Reason, number][]) {
    it(`ends with ${code} on ${reason}`, async () => {
      const script = async function* (): ReturnType<OneProgram['execStream']> {
        yield await Promise.reject(new WrennError(Code.FAILED_PRECONDITION, reason, 'failed'));
      };
      await withProgram([script], async (cli) => {
        const { exitCode, stderr } = await cli.run(['exec', 'sb1', '--', 'x']);
        expect(exitCode).to.equal(code);
        expect(stderr).to.include('failed');
      });
    });
  }
});

describe('wrenn exec over a connection that breaks', () => {
  const broken = (reason: Reason = 'HOST_UNAVAILABLE') =>
    new WrennError(Code.UNAVAILABLE, reason, 'the agent restarts');

  it('goes on from the next byte', async () => {
    const first = async function* () {
      yield* [started(), output('stdout', 0, 'one '), output('stderr', 4, 'err')];
      throw broken();
    };
    const stillDown = async function* (): ReturnType<OneProgram['execStream']> {
      yield await Promise.reject(broken());
    };
    const second = async function* () {
      yield* [started(), output('stdout', 7, 'two'), exited(3)];
    };
    await withProgram([first, stillDown, second], async (cli, program) => {
      const outcome = await cli.run(['exec', 'sb1', '--', 'x']);
      expect(outcome).to.deep.equal({ exitCode: 3, stdout: 'one two', stderr: 'err' });
      const attach = { $case: 'attach', value: { processId: 'p1', offset: 7 } };
      expect(program.firsts.slice(1)).to.deep.equal([attach, attach]);
    });
  });

  it('does not start a program twice', async () => {
    const script = async function* (): ReturnType<OneProgram['execStream']> {
      yield await Promise.reject(broken());
    };
    await withProgram([script], async (cli, program) => {
      expect((await cli.run(['exec', 'sb1', '--', 'x'])).exitCode).to.equal(1);
      expect(program.firsts).to.have.length(1);
    });
  });

  it('ends rather than lose or repeat input of a pipe', async () => {
    const script = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      await inputOf(requests);
      throw broken();
    };
    await withProgram([script], async (cli, program) => {
      const { exitCode, stderr } = await cli.run(['exec', '-i', 'sb1', '--', 'cat'], 'data');
      expect(exitCode).to.equal(1);
      expect(stderr).to.include('wrenn attach sb1 p1 --offset 0');
      expect(program.firsts).to.have.length(1);
    });
  });

  it('says how to go on when output is lost', async () => {
    const first = async function* () {
      yield started();
      throw broken('SHUTTING_DOWN');
    };
    const second = async function* (): ReturnType<OneProgram['execStream']> {
      const gone = new WrennError(Code.OUT_OF_RANGE, 'OUTPUT_OUT_OF_RANGE', 'gone');
      yield await Promise.reject(gone);
    };
    await withProgram([first, second], async (cli) => {
      const { exitCode, stderr } = await cli.run(['exec', 'sb1', '--', 'x']);
      expect(exitCode).to.equal(1);
      expect(stderr).to.include('wrenn attach');
    });
  });
});

describe('wrenn exec --tty', () => {
  /** A terminal that notes when it hands keys, then output, on as they are. */
  function terminal() {
    const modes: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (raw: boolean) => modes.push(raw),
    });
    const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 100, rows: 30 });
    const setRawOutput = async () => void modes.push(true);
    return { modes, stdin, stdout, setRawOutput };
  }

  it('gives the program the terminal and its size, and gives the terminal back', async () => {
    const { modes, ...io } = terminal();
    const { stdin, stdout } = io;
    const script = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      stdin.write('ls\x03');
      for await (const { message } of requests) {
        if (message?.$case === 'stdin') {
          yield output('pty', 0, `typed ${message.value}`);
          Object.assign(stdout, { columns: 120 }).emit('resize');
        } else if (message?.$case === 'resize') {
          yield output('pty', 9, ` at ${message.value.cols}x${message.value.rows}`);
          break;
        }
      }
      yield exited(0);
    };
    await withProgram([script], async (cli, program) => {
      const { exitCode } = await cli.run(['exec', '-t', 'sb1', '--', 'sh'], '', io);
      expect(exitCode).to.equal(0);
      expect(stdout.read().toString()).to.equal('typed ls\x03 at 120x30');
      expect(specOf(program)).to.deep.include({ pty: { cols: 100, rows: 30 } });
      expect(specOf(program)?.env).to.deep.equal({ TERM: 'xterm-256color' });
      expect(modes).to.deep.equal([true, true, false]);
      expect(stdin.destroyed).to.equal(true);
    });
  });

  it('leaves the program at ~. and says how to come back', async () => {
    const { modes, ...io } = terminal();
    const { stdin } = io;
    const script = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      stdin.write('exit');
      for await (const _ of requests) stdin.write('\r~.');
    };
    await withProgram([script], async (cli) => {
      const run = await cli.run(['exec', '-t', 'sb1', '--', 'sh'], '', io);
      expect(run.stderr).to.include('wrenn attach sb1 p1');
      expect(modes).to.deep.equal([true, true, false]);
    });
  });

  it('tells the size again, and keeps what is typed, over a broken connection', async () => {
    const { modes: _, ...io } = terminal();
    const { stdin, stdout } = io;
    const first = async function* () {
      yield started();
      stdin.write('a');
      throw new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', 'the agent restarts');
    };
    const second = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      for await (const { message } of requests) {
        if (message?.$case !== 'resize') continue;
        yield output('pty', 0, `${message.value.cols} columns`);
        break;
      }
      yield exited(0);
    };
    await withProgram([first, second], async (cli) => {
      await cli.run(['exec', '-t', 'sb1', '--', 'sh'], '', io);
      expect(stdout.read().toString()).to.equal('100 columns');
    });
  });

  it('is refused without a terminal, before anything is called', async () => {
    const script = async function* () {
      yield exited(0);
    };
    await withProgram([script], async (cli, program) => {
      expect((await cli.run(['exec', '-t', 'sb1', '--', 'sh'])).exitCode).to.equal(1);
      expect(program.firsts).to.deep.equal([]);
    });
  });
});

describe('wrenn exec for programs', () => {
  it('answers with the whole result, and the program’s exit code, with --json', async () => {
    let asked = ExecRequest.create();
    const exec = async (_: unknown, request: ExecRequest) => {
      asked = request;
      return ExecResponse.fromPartial({ stdoutText: 'out', exitCode: 3 });
    };
    await using server = await startApiServer({ processes: { exec } });
    await using cli = await commandLine(server.address);
    const { exitCode, stdout } = await cli.run(['--json', 'exec', '-i', 'sb1', '--', 'x'], 'data');
    expect(exitCode).to.equal(3);
    expect(JSON.parse(stdout)).to.include({ stdout_text: 'out', exit_code: 3 });
    expect(asked.stdin.toString()).to.equal('data');
  });

  it('starts in the background with --detach and prints the id', async () => {
    const asked: StartRequest[] = [];
    const start = async (_: unknown, request: StartRequest) => {
      asked.push(request);
      return Process.fromPartial({ processId: 'p1', pid: 7 });
    };
    await using server = await startApiServer({ processes: { start } });
    await using cli = await commandLine(server.address);
    expect((await cli.run(['exec', '-d', 'sb1', '--', 'sleep', '9'])).stdout).to.equal('p1\n');
    const { stdout } = await cli.run(['--json', 'exec', '-d', '-i', 'sb1', '--', 'cat']);
    expect(JSON.parse(stdout)).to.include({ process_id: 'p1', pid: 7 });
    expect(asked.map(({ process }) => process?.closeStdin)).to.deep.equal([true, false]);
    expect(asked[0]?.process).to.deep.include({ cmd: 'sleep', args: ['9'] });
  });
});
