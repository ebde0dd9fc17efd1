/** `wrenn sandbox fork`: the copies' ids, and what became of those that failed. */
import type { Command } from 'commander';
import {
  type ForkError,
  type ForkResult,
  ForkSandboxResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { reasonName } from '../../lib/errors/index.js';
import type { CommandContext } from '../command-context.js';
import { type CliIo, printLine } from '../io.js';
import { messageToJson } from '../output/message-json.js';
import { withClient } from '../session.js';
import { parseWholeNumber } from './options.js';

const SOME_FAILED_EXIT_CODE = 1;

export function addForkCommand(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('fork')
    .description('start copies of a sandbox, which goes on, and print their ids')
    .argument('<sandbox_id>', 'running or paused sandbox')
    .option('--count <number>', 'copies, up to 100', parseWholeNumber, 1)
    .action((id: string, { count }: { count: number }) => fork(context, id, count));
}

async function fork(
  { io, session: open, setExitCode }: CommandContext,
  sandboxId: string,
  count: number,
): Promise<void> {
  const session = open();
  const answer = await withClient(session, (client) => client.sandboxes.fork(sandboxId, count));
  if (answer.results.some(({ result }) => result?.$case !== 'sandbox')) {
    setExitCode(SOME_FAILED_EXIT_CODE);
  }
  if (session.json) {
    const type = 'wrenn.v1.ForkSandboxResponse';
    printLine(io.stdout, JSON.stringify(messageToJson(type, ForkSandboxResponse, answer)));
    return;
  }
  for (const [index, { result }] of answer.results.entries()) printResult(io, index + 1, result);
}

function printResult(io: CliIo, number: number, result: ForkResult['result']): void {
  if (result?.$case === 'sandbox') printLine(io.stdout, result.value.sandboxId);
  else printLine(io.stderr, `wrenn: copy ${number} was not started: ${describe(result?.value)}`);
}

function describe(error: ForkError | undefined): string {
  return error ? `${error.message} (${reasonName(error.reason)})` : 'the server does not say why';
}
