/** `wrenn cp`: one file of any size, into a sandbox or out of it. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { WrennClient } from '../../clients/typescript/index.js';
import type { CommandContext } from '../command-context.js';
import { CliError } from '../failure.js';
import { type CliIo, printLine } from '../io.js';
import { Progress } from '../output/progress.js';
import { type Session, withClient } from '../session.js';
import { writeLocalFile, writeTo } from './local-file.js';

const PERMISSION_BITS = 0o777;
/** How much of a local file is read at once. */
const READ_BYTES = 256 * 1024;

/** A path in a sandbox, `<sandbox_id>:/path`. */
interface RemotePath {
  sandboxId: string;
  path: string;
}

/** What is to be copied into a sandbox. */
interface LocalSource {
  content: AsyncIterable<Uint8Array>;
  mode: number;
  /** Undefined when it is not known. */
  sizeBytes: number | undefined;
}

export function addCopyCommand(parent: Command, context: CommandContext): void {
  parent
    .command('cp')
    .description('copy a file into a sandbox or out of it')
    .argument('<source>', 'local path, <sandbox_id>:/path, or - for standard input')
    .argument('<target>', 'local path, <sandbox_id>:/path, or - for standard output')
    .action((source: string, target: string) => copy(context, source, target));
}

async function copy(context: CommandContext, source: string, target: string): Promise<void> {
  const [from, to] = [parseRemote(source), parseRemote(target)];
  if (from && to) {
    throw new CliError('one of the two must be a local path', 'copy to a local file first');
  }
  if (to) await upload(context, source, to);
  else if (from) await download(context, from, target);
  else {
    throw new CliError(
      'neither of the two is in a sandbox',
      'name a file in a sandbox as <sandbox_id>:/absolute/path',
    );
  }
}

/** A local file whose name looks like one can be given as `./name`. */
function parseRemote(text: string): RemotePath | undefined {
  const match = /^([a-z0-9]{1,64}):(.*)$/s.exec(text);
  if (!match?.[1] || match[2] === undefined) return undefined;
  if (!match[2].startsWith('/')) {
    throw new CliError(`the path in ${text} must be absolute`, `write ${match[1]}:/${match[2]}`);
  }
  return { sandboxId: match[1], path: match[2] };
}

async function upload(
  { io, session: open }: CommandContext,
  source: string,
  { sandboxId, path }: RemotePath,
): Promise<void> {
  if (path.endsWith('/') && source === '-') {
    throw new CliError('standard input has no name to put into a folder', 'name the file too');
  }
  const target = path.endsWith('/') ? path + basename(source) : path;
  const { content, mode, sizeBytes } = await openLocal(io, source);
  const session = open();
  using progress = new Progress(io.stderr, basename(target), sizeBytes);
  const written = await withClient(session, (client) =>
    client.files.writeStream(sandboxId, target, progress.through(content), { mode }),
  );
  progress.end();
  report(session, sandboxId, written.path, written.sizeBytes);
}

async function download(
  { io, session: open }: CommandContext,
  { sandboxId, path }: RemotePath,
  target: string,
): Promise<void> {
  const session = open();
  const local = (await isDirectory(target)) ? join(target, basename(path)) : target;
  await withClient(session, async (client) => {
    const content = client.files.readStream(sandboxId, path);
    if (target === '-') return writeTo(io.stdout, content);
    const sizeBytes = await remoteSize(io, client, { sandboxId, path });
    using progress = new Progress(io.stderr, basename(path), sizeBytes);
    const writtenBytes = await writeLocalFile(local, progress.through(content));
    progress.end();
    report(session, sandboxId, local, writtenBytes);
  });
}

/** Asked for where somebody sees the progress. Only that of a regular file says how much comes. */
async function remoteSize(
  { stderr }: CliIo,
  client: WrennClient,
  { sandboxId, path }: RemotePath,
): Promise<number | undefined> {
  if (!stderr.isTTY) return undefined;
  const { permissions, sizeBytes } = await client.files.stat(sandboxId, path);
  return permissions.startsWith('-') ? sizeBytes : undefined;
}

async function openLocal(io: CliIo, source: string): Promise<LocalSource> {
  if (source === '-') return { content: io.stdin, mode: 0, sizeBytes: undefined };
  const found = await stat(source).catch((cause) => {
    throw cause.code === 'ENOENT' ? new CliError(`there is no file ${source}`) : cause;
  });
  if (found.isDirectory()) {
    throw new CliError(`${source} is a folder`, 'copy its files one by one, or as one archive');
  }
  return {
    content: createReadStream(source, { highWaterMark: READ_BYTES }),
    mode: found.mode & PERMISSION_BITS,
    sizeBytes: found.isFile() ? found.size : undefined,
  };
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function report({ io, json }: Session, sandboxId: string, path: string, sizeBytes: number): void {
  if (json) {
    const body = { sandbox_id: sandboxId, path, size_bytes: sizeBytes };
    printLine(io.stdout, JSON.stringify(body));
  } else {
    printLine(io.stdout, `${sizeBytes} bytes to ${path}`);
  }
}
