/** `wrenn file`: what is on the disk of a sandbox. */
import type { Command } from 'commander';
import type { FileInfo } from '../../clients/typescript/index.js';
import { FileInfo as FileInfoMessage, ListDirResponse } from '../../gen/ts/wrenn/v1/file.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { describeFile, formatFileLine, formatFileRows } from '../output/file.js';
import { messageToJson } from '../output/message-json.js';
import { withClient } from '../session.js';
import { forEach, type Printed } from './each.js';
import { parseMode, parseWholeNumber } from './options.js';
import { addWatchCommand } from './watch.js';

interface ListOptions {
  depth: number;
  long?: boolean;
}

const PATH = 'absolute path in the sandbox';

export function addFileCommands(program: Command, context: CommandContext): void {
  const file = program.command('file').description('files and directories of a sandbox');
  file
    .command('ls')
    .description('list a directory')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<path>', PATH)
    .option('--depth <levels>', 'directories in it too, up to 64 levels', parseWholeNumber, 1)
    .option('-l, --long', 'with permissions, owner, size and time')
    .action((id: string, path: string, options: ListOptions) => list(context, id, path, options));
  file
    .command('stat')
    .description('show what is at a path; a symbolic link is not followed')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<path>', PATH)
    .action((id: string, path: string) =>
      forEach(context, [id], async (client) => {
        const found = await client.files.stat(id, path);
        return { line: describeFile(found).join('\n'), json: toJson(found) };
      }),
    );
  addChangingCommands(file, context);
  addWatchCommand(file, context);
}

function addChangingCommands(file: Command, context: CommandContext): void {
  file
    .command('mkdir')
    .description('make directories and those above them')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<path...>', PATH)
    .option('--mode <octal>', 'permissions, such as 700', parseMode)
    .option('--user <name>', 'owner')
    .action((id: string, paths: string[], options: { mode?: number; user?: string }) =>
      forEach(context, paths, async (client, path) =>
        printed(await client.files.makeDir(id, path, options)),
      ),
    );
  file
    .command('mv')
    .description('give a file or directory another path')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<source>', PATH)
    .argument('<destination>', PATH)
    .action((id: string, source: string, destination: string) =>
      forEach(context, [id], async (client) =>
        printed(await client.files.move(id, source, destination)),
      ),
    );
  file
    .command('rm')
    .description('delete files, and directories with all that is in them')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<path...>', PATH)
    .action((id: string, paths: string[]) =>
      forEach(context, paths, async (client, path) => {
        await client.files.remove(id, path);
        return { line: path, json: { path } };
      }),
    );
}

async function list(
  { io, session: open }: CommandContext,
  sandboxId: string,
  path: string,
  { depth, long = false }: ListOptions,
): Promise<void> {
  const session = open();
  const entries: FileInfo[] = [];
  await withClient(session, async (client) => {
    for await (const entry of client.files.list(sandboxId, path, { depth })) {
      // Names alone need no table, so a large directory is printed as it comes.
      if (session.json || long) entries.push(entry);
      else printLine(io.stdout, formatFileLine(entry, path));
    }
  });
  if (session.json) {
    const answer = { entries, nextPageToken: '' };
    const json = messageToJson('wrenn.v1.ListDirResponse', ListDirResponse, answer);
    printLine(io.stdout, JSON.stringify(json));
  } else if (long) {
    for (const line of formatFileRows(entries, path)) printLine(io.stdout, line);
  }
}

function printed(file: FileInfo): Printed {
  return { line: file.path, json: toJson(file) };
}

function toJson(file: FileInfo) {
  return messageToJson('wrenn.v1.FileInfo', FileInfoMessage, file);
}
