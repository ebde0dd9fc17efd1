/** `wrenn exec`: a program of a sandbox as if it ran here, or in the background. */
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { ProcessOptions } from '../../clients/typescript/index.js';
import { ExecResponse, Process } from '../../gen/ts/wrenn/v1/process.js';
import type { CommandContext } from '../command-context.js';
import { CliError } from '../failure.js';
import { type CliIo, printLine } from '../io.js';
import { messageToJson } from '../output/message-json.js';
import { Conversation } from '../process/conversation.js';
import { play } from '../process/play.js';
import { requireTerminal, terminalSize, terminalType } from '../process/terminal.js';
import { withClient } from '../session.js';
import { addProgramOptions, type ProgramOptions, programFields } from './program-options.js';

interface ExecCommandOptions extends ProgramOptions {
  stdin?: boolean;
  tty?: boolean;
  detach?: boolean;
}

/** What is to run, where. */
interface Invocation {
  sandboxId: string;
  cmd: string;
  args: string[];
  options: ExecCommandOptions;
}

const KEYS_HELP = `
Ctrl-C is sent to the program; a second one within 2 s leaves it running and ends
this command. With --tty every key is the program's, but ~. at the start of a
line leaves it. A connection that breaks is made anew. With --json the program
runs to its end, within 30 s unless told, and its output is part of the answer.`;

export function addExecCommand(parent: Command, context: CommandContext): void {
  const command = parent
    .command('exec')
    .description('run a program and end with its exit code')
    .showHelpAfterError('(the program and its options go behind --)')
    .usage('[options] <sandbox_id> -- <program> [args...]')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<program>', 'path, or name in PATH; no shell is involved')
    .argument('[args...]', 'its arguments')
    .option('-i, --stdin', 'send standard input')
    .option('-t, --tty', 'give it this terminal')
    .option('-d, --detach', 'start it in the background and print its id')
    .addHelpText('after', KEYS_HELP);
  addProgramOptions(command).action(
    (sandboxId: string, cmd: string, args: string[], options: ExecCommandOptions) =>
      execute(context, { sandboxId, cmd, args, options }),
  );
}

async function execute(context: CommandContext, invocation: Invocation): Promise<void> {
  const { tty, detach } = invocation.options;
  if (detach) return startInBackground(context, invocation);
  const { json } = context.session();
  if (json && tty) throw new CliError('a terminal has no JSON', 'leave --json or --tty out');
  if (json) return runToEnd(context, invocation);
  return follow(context, invocation);
}

async function follow(
  { io, session: open, setExitCode }: CommandContext,
  { sandboxId, cmd, args, options }: Invocation,
): Promise<void> {
  if (options.tty) requireTerminal(io);
  const hasInput = options.stdin === true || options.tty === true;
  const program = {
    ...programFields(cmd, args, options),
    ...terminalFields(io, options),
    closeStdin: !hasInput,
  };
  const exitCode = await withClient(open(), (client) => {
    const conversation = new Conversation(client, sandboxId, { start: program });
    return play(io, conversation, { hasInput, hasTerminal: options.tty === true });
  });
  setExitCode(exitCode);
}

async function startInBackground(
  { io, session: open }: CommandContext,
  { sandboxId, cmd, args, options }: Invocation,
): Promise<void> {
  const session = open();
  const program = {
    ...programFields(cmd, args, options),
    ...terminalFields(io, options),
    closeStdin: !options.stdin && !options.tty,
  };
  const started = await withClient(session, (client) => client.processes.start(sandboxId, program));
  const json = () => JSON.stringify(messageToJson('wrenn.v1.Process', Process, started));
  printLine(io.stdout, session.json ? json() : started.processId);
}

async function runToEnd(
  { io, session: open, setExitCode }: CommandContext,
  { sandboxId, cmd, args, options }: Invocation,
): Promise<void> {
  const command = {
    ...programFields(cmd, args, options),
    stdin: options.stdin ? await buffer(io.stdin) : Buffer.of(),
  };
  const result = await withClient(open(), (client) => client.exec(sandboxId, command));
  setExitCode(result.exitCode);
  const json = messageToJson('wrenn.v1.ExecResponse', ExecResponse, result);
  printLine(io.stdout, JSON.stringify(json));
}

/** A terminal of this one's size and kind; --env TERM=… goes before it. */
function terminalFields(io: CliIo, { tty, env }: ExecCommandOptions): Partial<ProcessOptions> {
  return tty ? { pty: terminalSize(io), env: { TERM: terminalType(io), ...env } } : {};
}
