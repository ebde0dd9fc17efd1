/** `wrenn file watch`: what happens in a directory, as it happens. */
import type { Command } from 'commander';
import { type FileEvent, FileEventType } from '../../clients/typescript/index.js';
import { FileEvent as FileEventMessage } from '../../gen/ts/wrenn/v1/file.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { messageToJson } from '../output/message-json.js';
import { printable } from '../output/printable.js';
import { withClient } from '../session.js';

const NAME_WIDTH = 'OVERFLOW'.length;

export function addWatchCommand(file: Command, context: CommandContext): void {
  file
    .command('watch')
    .description('print what happens in a directory until Ctrl-C')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<path>', 'absolute path in the sandbox')
    .option('-r, --recursive', 'in the directories in it, too')
    .action((id: string, path: string, options: { recursive?: boolean }) =>
      watch(context, id, path, options),
    );
}

async function watch(
  { io, session: open }: CommandContext,
  sandboxId: string,
  path: string,
  { recursive = false }: { recursive?: boolean },
): Promise<void> {
  const session = open();
  await withClient(session, async (client) => {
    for await (const event of client.files.watch(sandboxId, path, { recursive })) {
      printLine(io.stdout, session.json ? JSON.stringify(toJson(event)) : formatEvent(event));
    }
  });
}

/** `RENAME    /old -> /new/`: what happened, and to what; a directory ends in `/`. */
function formatEvent({ type, path, oldPath, isDirectory }: FileEvent): string {
  const name = (FileEventType[type] ?? String(type)).replace('FILE_EVENT_TYPE_', '');
  const from = oldPath === '' ? '' : `${printable(oldPath)} -> `;
  const to = printable(path) + (isDirectory && !path.endsWith('/') ? '/' : '');
  return `${name.padEnd(NAME_WIDTH)}  ${from}${to}`;
}

function toJson(event: FileEvent) {
  return messageToJson('wrenn.v1.FileEvent', FileEventMessage, event);
}
