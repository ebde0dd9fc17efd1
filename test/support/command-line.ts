/** Runs the command line in this process, with streams and a configuration of its own. */
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { CliIo } from '../../cli/io.js';
import { runCli } from '../../cli/run.js';
import { temporaryDirectory } from './temporary-directory.js';

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface CommandLine extends AsyncDisposable {
  /** Folder of the stored credentials. */
  readonly configDirectory: string;
  /** Runs one command; `input` is its standard input, `io` what else it sees. */
  run(
    args: readonly string[],
    input?: string | Buffer,
    io?: Partial<CliIo>,
  ): Promise<CommandResult>;
}

/** @param environment over the address and the configuration folder. */
export async function commandLine(
  address: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<CommandLine> {
  const directory = await temporaryDirectory('wrenn-cli-');
  return {
    configDirectory: directory.path,
    run: async (args, input = '', io = {}) => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const printed = Promise.all([buffer(stdout), buffer(stderr)]);
      const exitCode = await runCli(args, {
        stdin: Readable.from([Buffer.from(input)]),
        stdout,
        stderr,
        environment: {
          WRENN_ADDRESS: address,
          WRENN_CONFIG_DIR: directory.path,
          ...environment,
        },
        ...io,
      });
      stdout.end();
      stderr.end();
      const [out, err] = await printed;
      return { exitCode, stdout: out.toString(), stderr: err.toString() };
    },
    [Symbol.asyncDispose]: () => directory.remove(),
  };
}
