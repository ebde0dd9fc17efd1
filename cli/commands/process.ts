/** `wrenn ps`, `wrenn attach` and `wrenn kill`: programs that run in a sandbox. */
import { type Command, InvalidArgumentError } from 'commander';
import { ExitReason, type Process, Signal } from '../../clients/typescript/index.js';
import { ListProcessesResponse } from '../../gen/ts/wrenn/v1/process.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { formatAge } from '../output/age.js';
import { messageToJson } from '../output/message-json.js';
import { printable } from '../output/printable.js';
import { formatSize } from '../output/size.js';
import { formatTable } from '../output/table.js';
import { Conversation } from '../process/conversation.js';
import { play } from '../process/play.js';
import { isTerminal } from '../process/terminal.js';
import { withClient } from '../session.js';
import { parseOffset } from './options.js';

const COLUMNS = ['ID', 'PID', 'STATE', 'TTY', 'USER', 'STARTED', 'OUTPUT', 'COMMAND'];

export function addProcessCommands(parent: Command, context: CommandContext): void {
  parent
    .command('ps')
    .description('list the programs that exec has started')
    .argument('<sandbox_id>', 'sandbox')
    .action((id: string) => listProcesses(context, id));
  parent
    .command('attach')
    .description('follow a program and end with its exit code')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<process_id>', 'id as wrenn ps shows it')
    .option(
      '--offset <bytes>',
      'begin here in its output; as early as kept unless told',
      parseOffset,
    )
    .option('-i, --stdin', 'send standard input; that of a terminal goes to a terminal anyway')
    .action((id: string, processId: string, options: AttachOptions) =>
      attach(context, id, processId, options),
    );
  parent
    .command('kill')
    .description('send a signal to a program and its children')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<process_id>', 'id as wrenn ps shows it')
    .argument('[signal]', 'name or number', parseSignal, Signal.SIGNAL_TERM)
    .action((id: string, processId: string, signal: Signal) =>
      sendSignal(context, id, processId, signal),
    );
}

interface AttachOptions {
  offset?: number;
  stdin?: boolean;
}

async function attach(
  { io, session: open, setExitCode }: CommandContext,
  sandboxId: string,
  processId: string,
  { offset, stdin = false }: AttachOptions,
): Promise<void> {
  const exitCode = await withClient(open(), async (client) => {
    const processes = await client.processes.list(sandboxId);
    const hasPty = processes.some((listed) => listed.processId === processId && listed.pty);
    const hasTerminal = hasPty && isTerminal(io);
    const conversation = new Conversation(client, sandboxId, { processId, offset });
    return play(io, conversation, { hasInput: hasTerminal || stdin, hasTerminal });
  });
  setExitCode(exitCode);
}

async function listProcesses(
  { io, session: open }: CommandContext,
  sandboxId: string,
): Promise<void> {
  const session = open();
  const processes = await withClient(session, (client) => client.processes.list(sandboxId));
  if (session.json) {
    const type = 'wrenn.v1.ListProcessesResponse';
    const json = messageToJson(type, ListProcessesResponse, { processes });
    printLine(io.stdout, JSON.stringify(json));
    return;
  }
  for (const line of formatTable(COLUMNS, processes.map(cells))) printLine(io.stdout, line);
}

function cells(process: Process): string[] {
  const { processId, pid, pty, user, startedAt, nextOffset, cmd, args } = process;
  return [
    processId,
    String(pid),
    formatState(process),
    pty ? 'yes' : 'no',
    printable(user),
    formatAge(startedAt),
    formatSize(nextOffset),
    printable([cmd, ...args].join(' ')),
  ];
}

/** `RUNNING`, `EXITED (1)`, `SIGNALED (SIGKILL)` or `TIMEOUT`. */
function formatState({ exited }: Process): string {
  if (!exited) return 'RUNNING';
  const { reason, exitCode, signal } = exited;
  if (reason === ExitReason.EXIT_REASON_TIMEOUT) return 'TIMEOUT';
  return signal === '' ? `EXITED (${exitCode})` : `SIGNALED (${printable(signal)})`;
}

async function sendSignal(
  { io, session: open }: CommandContext,
  sandboxId: string,
  processId: string,
  signal: Signal,
): Promise<void> {
  const session = open();
  await withClient(session, (client) => client.processes.signal(sandboxId, processId, signal));
  printLine(io.stdout, session.json ? JSON.stringify({ process_id: processId }) : processId);
}

/** `KILL`, `SIGKILL` or `9`. */
function parseSignal(text: string): Signal {
  const known = Object.values(Signal).filter((value) => typeof value === 'number' && value > 0);
  const name = `SIGNAL_${text.toUpperCase().replace(/^SIG/, '')}`;
  const signal = known.find((value) => String(value) === text || Signal[Number(value)] === name);
  if (signal === undefined) {
    const names = known.map((value) => Signal[Number(value)]?.replace('SIGNAL_', ''));
    throw new InvalidArgumentError(`Give one of ${names.join(', ')}.`);
  }
  return Number(signal);
}
