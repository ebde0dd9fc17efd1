/** `wrenn sandbox exec`: a program's raw output, and its own exit code. */
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { ExecOptions } from '../../clients/typescript/index.js';
import { ExecResponse } from '../../gen/ts/wrenn/v1/process.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { messageToJson } from '../output/message-json.js';
import { withClient } from '../session.js';
import { collectPair, parseWholeNumber } from './options.js';

interface ExecCommandOptions {
  stdin?: boolean;
  timeout?: number;
  env?: Record<string, string>;
  cwd?: string;
  user?: string;
}

export function addExecCommand(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('exec')
    .description('run a program and end with its exit code')
    .showHelpAfterError('(the program and its options go behind --)')
    .usage('[options] <sandbox_id> -- <program> [args...]')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<program>', 'path, or name in PATH; no shell is involved')
    .argument('[args...]', 'its arguments')
    .option('-i, --stdin', 'send standard input, up to 1 MiB')
    .option('--timeout <seconds>', 'kill it after this long', parseWholeNumber)
    .option('--env <NAME=value>', 'environment variable; repeatable', collectPair)
    .option('--cwd <path>', 'working directory')
    .option('--user <name>', 'user who runs it')
    .action((id: string, cmd: string, args: string[], options: ExecCommandOptions) =>
      execute(context, id, cmd, args, options),
    );
}

async function execute(
  { io, session: open, setExitCode }: CommandContext,
  sandboxId: string,
  cmd: string,
  args: string[],
  options: ExecCommandOptions,
): Promise<void> {
  const session = open();
  const command: ExecOptions = {
    cmd,
    args,
    timeoutSec: options.timeout ?? 0,
    env: options.env ?? {},
    cwd: options.cwd ?? '',
    user: options.user ?? '',
    stdin: options.stdin ? await buffer(io.stdin) : Buffer.of(),
  };
  const result = await withClient(session, (client) => client.exec(sandboxId, command));
  setExitCode(result.exitCode);
  if (session.json) {
    const json = messageToJson('wrenn.v1.ExecResponse', ExecResponse, result);
    printLine(io.stdout, JSON.stringify(json));
    return;
  }
  io.stdout.write(result.stdout);
  io.stderr.write(result.stderr);
  if (result.stdoutTruncated) printLine(io.stderr, 'wrenn: standard output went on; it was cut');
  if (result.stderrTruncated) printLine(io.stderr, 'wrenn: standard error went on; it was cut');
}
