import { expect } from 'chai';
import {
  ExitReason,
  Process,
  type ProcessEvent,
  type SendSignalRequest,
  Signal,
} from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';
import { exited, inputOf, OneProgram, output, started } from '../../test/support/one-program.js';

const PROCESSES = [
  { processId: 'p1', pid: 10, cmd: 'sleep', args: ['9'], user: 'root', nextOffset: 2048 },
  {
    processId: 'p2',
    pty: true,
    cmd: 'sh',
    args: ['\x1b[31m'],
    exited: { exitCode: 3, reason: ExitReason.EXIT_REASON_EXITED },
  },
  { processId: 'p3', cmd: 'x', exited: { exitCode: 137, signal: 'SIGKILL' } },
  { processId: 'p4', cmd: 'x', exited: { reason: ExitReason.EXIT_REASON_TIMEOUT } },
].map((process) => Process.fromPartial(process));

async function against(
  processes: NonNullable<Script['processes']>,
  use: (cli: CommandLine) => Promise<void>,
): Promise<void> {
  await using server = await startApiServer({
    processes: { listProcesses: async () => ({ processes: PROCESSES }), ...processes },
  });
  await using cli = await commandLine(server.address);
  await use(cli);
}

describe('wrenn ps', () => {
  it('shows what runs, how the others ended, and obeys none of their names', async () => {
    await against({}, async (cli) => {
      const { stdout } = await cli.run(['ps', 'sb1']);
      const lines = stdout.trimEnd().split('\n');
      expect(lines[0]).to.match(/^ID +PID +STATE +TTY +USER +STARTED +OUTPUT +COMMAND$/);
      expect(lines[1]).to.match(/^p1 +10 +RUNNING +no +root +never +2\.0 KiB +sleep 9$/);
      expect(lines[2]).to.match(/^p2 +0 +EXITED \(3\) +yes .*sh \\x1b\[31m$/);
      expect(lines[3]).to.match(/^p3 +0 +SIGNALED \(SIGKILL\) /);
      expect(lines[4]).to.match(/^p4 +0 +TIMEOUT /);
    });
  });

  it('answers as the API does with --json', async () => {
    await against({}, async (cli) => {
      const { processes } = JSON.parse((await cli.run(['ps', 'sb1', '--json'])).stdout);
      expect(processes[1]).to.deep.include({ process_id: 'p2', args: ['\x1b[31m'] });
    });
  });
});

describe('wrenn attach', () => {
  it('follows from the offset that is asked for and ends with the exit code', async () => {
    const program = new OneProgram(async function* () {
      yield* [started(), output('stdout', 5, 'more'), exited(9)];
    });
    await against({ execStream: program.execStream }, async (cli) => {
      const outcome = await cli.run(['attach', 'sb1', 'p1', '--offset', '5']);
      expect(outcome).to.deep.equal({ exitCode: 9, stdout: 'more', stderr: '' });
      const value = { processId: 'p1', offset: 5 };
      expect(program.firsts).to.deep.equal([{ $case: 'attach', value }]);
    });
  });

  it('begins as early as is kept, and sends input only when asked to', async () => {
    const silent = async function* (): AsyncGenerator<ProcessEvent> {
      yield* [started(), exited(0)];
    };
    const cat = async function* (requests: Parameters<typeof inputOf>[0]) {
      yield started();
      yield output('stdout', 0, await inputOf(requests));
      yield exited(0);
    };
    const program = new OneProgram(silent, cat);
    await against({ execStream: program.execStream }, async (cli) => {
      expect((await cli.run(['attach', 'sb1', 'p1'], 'data')).stdout).to.equal('');
      expect((await cli.run(['attach', '-i', 'sb1', 'p1'], 'data')).stdout).to.equal('data');
      expect(program.firsts[0]?.value).to.deep.equal({ processId: 'p1', offset: undefined });
    });
  });

  it('says what is wrong with a process that is gone, and not how to go on with it', async () => {
    const program = new OneProgram(async function* (): AsyncGenerator<ProcessEvent> {
      const error = new WrennError(Code.NOT_FOUND, 'PROCESS_NOT_FOUND', 'no such process');
      yield await Promise.reject(error);
    });
    await against({ execStream: program.execStream }, async (cli) => {
      const { exitCode, stderr } = await cli.run(['attach', 'sb1', 'p1']);
      expect(exitCode).to.equal(1);
      expect(stderr).to.include('no such process').and.not.include('may go on');
    });
  });

  it('refuses an offset that is none', async () => {
    await against({}, async (cli) => {
      for (const offset of ['-1', '1.5', 'x', '9007199254740993']) {
        const { exitCode, stderr } = await cli.run(['attach', 'sb1', 'p1', `--offset=${offset}`]);
        expect(exitCode, offset).to.equal(1);
        expect(stderr).to.include('--offset');
      }
    });
  });
});

describe('wrenn kill', () => {
  it('sends SIGTERM, or the signal that is named', async () => {
    const sent: SendSignalRequest[] = [];
    const sendSignal = async (_: unknown, request: SendSignalRequest) => {
      sent.push(request);
      return {};
    };
    await against({ sendSignal }, async (cli) => {
      for (const signal of [[], ['KILL'], ['SIGHUP'], ['int'], ['19']]) {
        expect((await cli.run(['kill', 'sb1', 'p1', ...signal])).stdout).to.equal('p1\n');
      }
      const { SIGNAL_TERM, SIGNAL_KILL, SIGNAL_HUP, SIGNAL_INT, SIGNAL_STOP } = Signal;
      expect(sent.map(({ signal }) => signal)).to.deep.equal([
        SIGNAL_TERM,
        SIGNAL_KILL,
        SIGNAL_HUP,
        SIGNAL_INT,
        SIGNAL_STOP,
      ]);
      expect(sent[0]).to.include({ sandboxId: 'sb1', processId: 'p1' });
      expect((await cli.run(['kill', 'sb1', 'p1', 'NONE'])).exitCode).to.equal(1);
      expect(sent).to.have.length(5);
    });
  });
});
