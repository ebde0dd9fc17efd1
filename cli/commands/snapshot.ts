/** `wrenn snapshot`: frozen sandboxes under a name, from which others start. */
import type { Command } from 'commander';
import type { WrennClient } from '../../clients/typescript/index.js';
import { Snapshot, SnapshotType } from '../../gen/ts/wrenn/v1/snapshot.js';
import type { CommandContext } from '../command-context.js';
import { CliError } from '../failure.js';
import { printLine } from '../io.js';
import { formatAge } from '../output/age.js';
import { messageToJson } from '../output/message-json.js';
import { formatSize } from '../output/size.js';
import { formatTable } from '../output/table.js';
import { withClient } from '../session.js';
import { forEach } from './each.js';

const COLUMNS = ['NAME', 'ID', 'TYPE', 'SANDBOX', 'VCPUS', 'MEMORY', 'SIZE', 'CREATED'];

export function addSnapshotCommands(program: Command, context: CommandContext): void {
  const snapshot = program.command('snapshot').description('frozen sandboxes to start others from');
  snapshot
    .command('create')
    .description('freeze a sandbox, keep that, and print its name; a running one goes on')
    .argument('<sandbox_id>', 'running or paused sandbox')
    .argument('[name]', 'what wrenn sandbox create --template calls it; made up when left out')
    .action((id: string, name?: string) =>
      forEach(context, [id], async (client) => {
        const created = await client.snapshots.create(id, name);
        return { line: created.name, json: toJson(created) };
      }),
    );
  snapshot
    .command('ls')
    .description('list the snapshots and the templates of the platform')
    .action(() => listSnapshots(context));
  snapshot
    .command('show')
    .description('show one snapshot')
    .argument('<snapshot>', 'name or id')
    .action((nameOrId: string) =>
      forEach(context, [nameOrId], async (client) => {
        const found = await find(client, nameOrId);
        return { line: describe(found).join('\n'), json: toJson(found) };
      }),
    );
  snapshot
    .command('rm')
    .description('delete snapshots that no sandbox needs any more')
    .argument('<snapshot...>', 'names or ids')
    .action((namesOrIds: string[]) => removeSnapshots(context, namesOrIds));
}

async function listSnapshots({ io, session: open }: CommandContext): Promise<void> {
  const session = open();
  const snapshots = await withClient(session, listAll);
  if (session.json) {
    printLine(io.stdout, JSON.stringify({ snapshots: snapshots.map(toJson) }));
    return;
  }
  for (const line of formatTable(COLUMNS, snapshots.map(cells))) printLine(io.stdout, line);
}

async function removeSnapshots(
  { io, session: open }: CommandContext,
  namesOrIds: readonly string[],
): Promise<void> {
  const session = open();
  const ids: string[] = [];
  await withClient(session, async (client) => {
    for (const nameOrId of namesOrIds) {
      const { snapshotId } = await find(client, nameOrId);
      await client.snapshots.delete(snapshotId);
      ids.push(snapshotId);
      if (!session.json) printLine(io.stdout, nameOrId);
    }
  });
  if (session.json) printLine(io.stdout, JSON.stringify({ snapshot_ids: ids }));
}

/** An id goes before a name that looks like one. */
async function find(client: WrennClient, nameOrId: string): Promise<Snapshot> {
  const snapshots = await listAll(client);
  const found =
    snapshots.find(({ snapshotId }) => snapshotId === nameOrId) ??
    snapshots.find(({ name }) => name === nameOrId);
  if (!found) {
    throw new CliError(`there is no snapshot ${nameOrId}`, 'wrenn snapshot ls shows what there is');
  }
  return found;
}

async function listAll(client: WrennClient): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  for await (const snapshot of client.snapshots.list()) snapshots.push(snapshot);
  return snapshots;
}

/** A template of the platform has neither shape nor size of its own. */
function cells(snapshot: Snapshot): string[] {
  const { vcpus, memoryMb } = snapshot;
  return [
    snapshot.name,
    snapshot.snapshotId,
    (SnapshotType[snapshot.type] ?? String(snapshot.type)).replace('SNAPSHOT_TYPE_', ''),
    snapshot.sandboxId,
    vcpus === 0 ? 'any' : String(vcpus),
    memoryMb === 0 ? 'any' : `${memoryMb} MiB`,
    snapshot.sizeBytes === 0 ? '' : formatSize(snapshot.sizeBytes),
    formatAge(snapshot.createdAt),
  ];
}

/** One line for each column. */
function describe(snapshot: Snapshot): string[] {
  const width = Math.max(...COLUMNS.map(({ length }) => length));
  return cells(snapshot).map((cell, index) =>
    `${(COLUMNS[index] ?? '').padEnd(width)}   ${cell}`.trimEnd(),
  );
}

function toJson(snapshot: Snapshot) {
  return messageToJson('wrenn.v1.Snapshot', Snapshot, snapshot);
}
