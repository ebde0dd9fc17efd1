/** `wrenn sandbox cp`: one file, into a sandbox or out of it. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { FILE_BYTES_MAX } from '../../clients/typescript/index.js';
import type { CommandContext } from '../command-context.js';
import { CliError } from '../failure.js';
import { type CliIo, printLine } from '../io.js';
import { type Session, withClient } from '../session.js';

const PERMISSION_BITS = 0o777;

/** A path in a sandbox, `<sandbox_id>:/path`. */
interface RemotePath {
  sandboxId: string;
  path: string;
}

export function addCopyCommand(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('cp')
    .description('copy a file of up to 3 MiB into a sandbox or out of it')
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
  const { content, mode } = await readLocal(io, source);
  const session = open();
  const written = await withClient(session, (client) =>
    client.files.write(sandboxId, target, content, { mode }),
  );
  report(session, sandboxId, written.path, content.length);
}

async function download(
  { io, session: open }: CommandContext,
  { sandboxId, path }: RemotePath,
  target: string,
): Promise<void> {
  const session = open();
  const content = await withClient(session, (client) => client.files.read(sandboxId, path));
  if (target === '-') {
    io.stdout.write(content);
    return;
  }
  const local = (await isDirectory(target)) ? join(target, basename(path)) : target;
  await writeFile(local, content);
  report(session, sandboxId, local, content.length);
}

async function readLocal(io: CliIo, source: string): Promise<{ content: Buffer; mode: number }> {
  if (source === '-') {
    const content = await buffer(io.stdin);
    checkSize('standard input', content.length);
    return { content, mode: 0 };
  }
  const { mode, size } = await stat(source).catch((cause) => {
    throw cause.code === 'ENOENT' ? new CliError(`there is no file ${source}`) : cause;
  });
  if (await isDirectory(source)) {
    throw new CliError(`${source} is a folder`, 'copy its files one by one, or as one archive');
  }
  checkSize(source, size);
  return { content: await readFile(source), mode: mode & PERMISSION_BITS };
}

function checkSize(name: string, size: number): void {
  if (size <= FILE_BYTES_MAX) return;
  throw new CliError(`${name} has ${size} bytes, and a copy carries ${FILE_BYTES_MAX} at most`);
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
