/** `wrenn sandbox`: create, list, delete; the other commands have files of their own. */
import { type Command, InvalidArgumentError } from 'commander';
import type { CreateSandboxOptions } from '../../clients/typescript/index.js';
import { type Sandbox, SandboxState, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { formatAge } from '../output/age.js';
import { formatState, sandboxToJson } from '../output/sandbox.js';
import { formatTable } from '../output/table.js';
import { withClient } from '../session.js';
import { addCopyCommand } from './copy.js';
import { addExecCommand } from './exec.js';
import { addForkCommand } from './fork.js';
import { addGenerationCommands } from './generation.js';
import { collectPair, parseWholeNumber } from './options.js';
import { addPauseCommands } from './pause.js';
import { addProcessCommands } from './process.js';
import { addTimeoutCommands, parseTimeoutAction } from './timeout.js';

interface CreateOptions {
  template?: string;
  vcpus?: number;
  memory?: number;
  timeout?: number;
  onTimeout?: TimeoutAction;
  env?: Record<string, string>;
  metadata?: Record<string, string>;
}

interface ListOptions {
  state?: SandboxState[];
  metadata?: Record<string, string>;
}

export function addSandboxCommands(program: Command, context: CommandContext): void {
  const sandbox = program.command('sandbox').description('microVMs');
  addCreateCommand(sandbox, context);
  sandbox
    .command('ls')
    .description('list the sandboxes')
    .option('--state <name>', 'only those in this state; repeatable', collectState)
    .option('--metadata <name=value>', 'only those with this label; repeatable', collectPair)
    .action((options: ListOptions) => listSandboxes(context, options));
  addExecCommand(sandbox, context);
  addProcessCommands(sandbox, context);
  addCopyCommand(sandbox, context);
  addPauseCommands(sandbox, context);
  addForkCommand(sandbox, context);
  addTimeoutCommands(sandbox, context);
  addGenerationCommands(sandbox, context);
  sandbox
    .command('rm')
    .description('end sandboxes and delete their disks')
    .argument('<sandbox_id...>', 'ids as wrenn sandbox ls shows them')
    .action((ids: string[]) => removeSandboxes(context, ids));
}

function addCreateCommand(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('create')
    .description('start a sandbox and print its id when it takes commands')
    .option('--template <name>', 'template or snapshot to start from')
    .option('--vcpus <number>', 'virtual CPUs', parseWholeNumber)
    .option('--memory <MiB>', 'memory', parseMemory)
    .option('--timeout <seconds>', 'how long it may be unused', parseWholeNumber)
    .option(
      '--on-timeout <delete|pause>',
      'what happens then, delete unless told',
      parseTimeoutAction,
    )
    .option('--env <NAME=value>', 'variable of every program; repeatable', collectPair)
    .option('--metadata <name=value>', 'label of your own; repeatable', collectPair)
    .action((options: CreateOptions) => createSandbox(context, options));
}

/** `512`, `512m` or `2g`. */
function parseMemory(text: string): number {
  const match = /^(\d+)([mMgG]?)(?:[iI]?[bB])?$/.exec(text);
  if (!match) throw new InvalidArgumentError('Give MiB, such as 512, or 2g.');
  return Number(match[1]) * (match[2]?.toLowerCase() === 'g' ? 1024 : 1);
}

/** `running`, as often as wanted. */
function collectState(text: string, collected: SandboxState[] = []): SandboxState[] {
  const known = Object.values(SandboxState).filter(
    (value) => typeof value === 'number' && value > 0,
  );
  const name = `SANDBOX_STATE_${text.toUpperCase()}`;
  const state = known.find((value) => SandboxState[Number(value)] === name);
  if (state === undefined) {
    const names = known.map((value) =>
      SandboxState[Number(value)]?.replace('SANDBOX_STATE_', '').toLowerCase(),
    );
    throw new InvalidArgumentError(`Give one of ${names.join(', ')}.`);
  }
  return [...collected, Number(state)];
}

async function createSandbox(
  { io, session: open }: CommandContext,
  options: CreateOptions,
): Promise<void> {
  const session = open();
  const request: CreateSandboxOptions = {
    template: options.template ?? '',
    vcpus: options.vcpus ?? 0,
    memoryMb: options.memory ?? 0,
    timeoutSec: options.timeout ?? 0,
    onTimeout: options.onTimeout ?? TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED,
    env: options.env ?? {},
    metadata: options.metadata ?? {},
  };
  const created = await withClient(session, (client) => client.sandboxes.create(request));
  printLine(io.stdout, session.json ? JSON.stringify(sandboxToJson(created)) : created.sandboxId);
}

async function listSandboxes(
  { io, session: open }: CommandContext,
  { state = [], metadata = {} }: ListOptions,
): Promise<void> {
  const session = open();
  const sandboxes: Sandbox[] = [];
  await withClient(session, async (client) => {
    for await (const sandbox of client.sandboxes.list({ states: state, metadata })) {
      sandboxes.push(sandbox);
    }
  });
  if (session.json) {
    printLine(io.stdout, JSON.stringify({ sandboxes: sandboxes.map(sandboxToJson) }));
    return;
  }
  const columns = ['ID', 'TEMPLATE', 'STATE', 'VCPUS', 'MEMORY', 'ADDRESS', 'CREATED', 'LAST USED'];
  const rows = sandboxes.map((sandbox) => [
    sandbox.sandboxId,
    sandbox.template,
    formatState(sandbox),
    String(sandbox.vcpus),
    `${sandbox.memoryMb} MiB`,
    sandbox.guestIp,
    formatAge(sandbox.createdAt),
    formatAge(sandbox.lastActiveAt),
  ]);
  for (const line of formatTable(columns, rows)) printLine(io.stdout, line);
}

async function removeSandboxes(
  { io, session: open }: CommandContext,
  ids: string[],
): Promise<void> {
  const session = open();
  await withClient(session, async (client) => {
    for (const id of ids) {
      await client.sandboxes.delete(id);
      if (!session.json) printLine(io.stdout, id);
    }
  });
  if (session.json) printLine(io.stdout, JSON.stringify({ sandbox_ids: ids }));
}
