import { expect } from 'chai';
import { ExecRequest, ExecResponse } from '../../gen/ts/wrenn/v1/process.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';

async function withExec(
  exec: (request: ExecRequest) => Partial<ExecResponse>,
  use: (cli: CommandLine) => Promise<void>,
): Promise<void> {
  await using server = await startApiServer({
    processes: { exec: async (_, request) => ExecResponse.fromPartial(exec(request)) },
  });
  await using cli = await commandLine(server.address);
  await use(cli);
}

describe('wrenn sandbox exec', () => {
  it('passes everything behind -- to the program, options too', async () => {
    let asked = ExecRequest.create();
    const remember = (request: ExecRequest) => {
      asked = request;
      return {};
    };
    await withExec(remember, async (cli) => {
      const options = ['--timeout', '5', '--env', 'A=1', '--cwd', '/tmp', '--user', 'nobody'];
      const program = ['ls', '-l', '--json', '--', 'x'];
      await cli.run(['sandbox', 'exec', ...options, 'sb1', '--', ...program]);
      expect(asked).to.deep.include({
        sandboxId: 'sb1',
        cmd: 'ls',
        args: ['-l', '--json', '--', 'x'],
        timeoutSec: 5,
        env: { A: '1' },
        cwd: '/tmp',
        user: 'nobody',
      });
    });
  });

  it('passes both outputs through raw and ends with the program’s exit code', async () => {
    const result = { stdout: Buffer.from('out'), stderr: Buffer.from('err'), exitCode: 42 };
    await withExec(
      () => result,
      async (cli) => {
        const outcome = await cli.run(['sandbox', 'exec', 'sb1', '--', 'true']);
        expect(outcome).to.deep.equal({ exitCode: 42, stdout: 'out', stderr: 'err' });
      },
    );
  });

  it('keeps the program’s exit code with --json', async () => {
    const result = { stdout: Buffer.from('out'), stdoutText: 'out', exitCode: 3 };
    await withExec(
      () => result,
      async (cli) => {
        const { exitCode, stdout } = await cli.run(['--json', 'sandbox', 'exec', 'sb1', '--', 'x']);
        expect(exitCode).to.equal(3);
        expect(JSON.parse(stdout)).to.include({ stdout_text: 'out', exit_code: 3 });
      },
    );
  });

  it('sends standard input only when asked to', async () => {
    const echo = ({ stdin }: ExecRequest) => ({ stdout: stdin });
    await withExec(echo, async (cli) => {
      const unasked = await cli.run(['sandbox', 'exec', 'sb1', '--', 'cat'], 'data');
      expect(unasked.stdout).to.equal('');
      const asked = await cli.run(['sandbox', 'exec', '-i', 'sb1', '--', 'cat'], 'data');
      expect(asked.stdout).to.equal('data');
    });
  });

  it('says on standard error that output was cut', async () => {
    await withExec(
      () => ({ stdout: Buffer.from('out'), stdoutTruncated: true }),
      async (cli) => {
        const { stdout, stderr } = await cli.run(['sandbox', 'exec', 'sb1', '--', 'x']);
        expect(stdout).to.equal('out');
        expect(stderr).to.not.equal('');
      },
    );
  });

  for (const [reason, code] of [
    ['COMMAND_TIMEOUT', 124],
    ['COMMAND_NOT_STARTED', 126],
    ['COMMAND_NOT_FOUND', 127],
    ['SANDBOX_NOT_FOUND', 1],
  ] as [Reason, number][]) {
    it(`ends with ${code} on ${reason}`, async () => {
      const fail = () => {
        throw new WrennError(Code.FAILED_PRECONDITION, reason, 'failed');
      };
      await withExec(fail, async (cli) => {
        const { exitCode, stderr } = await cli.run(['sandbox', 'exec', 'sb1', '--', 'x']);
        expect(exitCode).to.equal(code);
        expect(stderr).to.include('failed');
      });
    });
  }
});
