/**
 * Lists a directory in parts: an entry comes before what is in it, and those of one directory are in
 * the order of their names (by UTF-16 code units). A part begins after a path, whether there still
 * is something at that path or not, and costs the entries that it returns and the names of the
 * directories that it touches.
 *
 * Links below the directory are not followed. What vanishes meanwhile is passed over, as are the
 * contents of directories that cannot be opened, because their path is too long or a filesystem of
 * a user is dead. Of several names that look the same to a caller, since they are not UTF-8, those
 * at the border of two parts may be passed over as well.
 */
import { type FileInfo, FileType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { type AccountNames, readAccountNames } from '../accounts.js';
import { type DirectoryName, readNames } from './directory-names.js';
import { describeFile } from './file-info.js';
import { isTemporaryName } from './temporary-files.js';

/** Largest part. */
const ENTRIES_MAX = 1000;
/** Entries that are looked at together; so many may be in vain. */
const LOOKS_AT_ONCE = 64;

const PASSED_OVER = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'EACCES',
  'EPERM',
  'ENAMETOOLONG',
  'ENOTCONN',
]);

export interface ListRequest {
  path: string;
  depth: number;
  entriesMax: number;
  after: string;
}

export interface DirectoryPart {
  entries: FileInfo[];
  hasMore: boolean;
}

interface Walk {
  names: AccountNames;
  signal: AbortSignal;
  /** One more than is returned, which tells whether there are more. */
  limit: number;
  entries: FileInfo[];
}

/** Where a walk is. */
interface Place {
  path: Buffer;
  /** Path as a caller sees it, with a slash at its end. */
  shown: string;
  /** Levels from here on, this one included. */
  depth: number;
  /** Names of the path, from here on, after which the part begins; empty when all is wanted. */
  after: string[];
}

/**
 * Lists the next part of a directory.
 * @throws WrennError INVALID_REQUEST, file_not_directory, directory_too_large, the signal's reason,
 * or what the kernel says.
 */
export async function listDirectory(
  request: ListRequest,
  signal: AbortSignal,
): Promise<DirectoryPart> {
  const { path, depth, entriesMax } = request;
  requireRange(depth, entriesMax);
  const shown = path.endsWith('/') ? path : `${path}/`;
  const after = partsAfter(shown, request.after);
  const names = await readAccountNames();
  const walk: Walk = { names, signal, limit: entriesMax + 1, entries: [] };
  try {
    await listInto(walk, { path: Buffer.from(shown), shown, depth, after });
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') throw guestFailure('file_not_directory');
    throw error;
  }
  const hasMore = walk.entries.length > entriesMax;
  return { entries: walk.entries.slice(0, entriesMax), hasMore };
}

function requireRange(depth: number, entriesMax: number): void {
  if (depth >= 1 && entriesMax >= 1 && entriesMax <= ENTRIES_MAX) return;
  const message = `a list has a depth of at least 1, and 1 to ${ENTRIES_MAX} entries`;
  throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}

function partsAfter(shown: string, after: string): string[] {
  if (after === '') return [];
  if (!after.startsWith(shown) || after.length === shown.length) {
    const message = 'a list goes on after a path in its directory';
    throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
  }
  return after.slice(shown.length).split('/');
}

/** Adds what is wanted of a directory, until the walk has enough. */
async function listInto(walk: Walk, place: Place): Promise<void> {
  const [resumed, ...rest] = place.after;
  if (resumed !== undefined && place.depth > 1) await listResumed(walk, place, resumed, rest);

  let from = resumed;
  while (walk.entries.length < walk.limit) {
    const count = walk.limit - walk.entries.length;
    const found = await readNames(place.path, {
      from: from ?? '',
      exclusive: from !== undefined,
      count,
      isHidden: isTemporaryName,
      signal: walk.signal,
    });
    await addEntries(walk, place, found);
    // Some of those that were found may have vanished, so there may be more.
    if (found.length < count) return;
    from = found.at(-1)?.text;
  }
}

/** Goes on in the directory in which the part before has ended, when it is still one. */
async function listResumed(
  walk: Walk,
  place: Place,
  resumed: string,
  rest: string[],
): Promise<void> {
  const [found] = await readNames(place.path, {
    from: resumed,
    exclusive: false,
    count: 1,
    isHidden: isTemporaryName,
    signal: walk.signal,
  });
  if (found?.text !== resumed) return;
  const info = await look(walk, place, found);
  if (info?.type !== FileType.FILE_TYPE_DIRECTORY) return;
  await listBelow(walk, placeBelow(place, found, rest));
}

async function addEntries(walk: Walk, place: Place, names: DirectoryName[]): Promise<void> {
  for (let start = 0; start < names.length; start += LOOKS_AT_ONCE) {
    const some = names.slice(start, start + LOOKS_AT_ONCE);
    const infos = await Promise.all(some.map((name) => look(walk, place, name)));
    for (const [index, info] of infos.entries()) {
      const name = some[index];
      if (!info || !name) continue;
      if (walk.entries.length >= walk.limit) return;
      walk.entries.push(info);
      if (info.type !== FileType.FILE_TYPE_DIRECTORY || place.depth === 1) continue;
      await listBelow(walk, placeBelow(place, name, []));
    }
  }
}

function look(walk: Walk, place: Place, { raw, text }: DirectoryName) {
  walk.signal.throwIfAborted();
  const path = Buffer.concat([place.path, raw]);
  return passingOver(() => describeFile(path, place.shown + text, walk.names));
}

async function listBelow(walk: Walk, place: Place): Promise<void> {
  await passingOver(() => listInto(walk, place));
}

function placeBelow(place: Place, { raw, text }: DirectoryName, after: string[]): Place {
  return {
    path: Buffer.concat([place.path, raw, Buffer.from('/')]),
    shown: `${place.shown}${text}/`,
    depth: place.depth - 1,
    after,
  };
}

async function passingOver<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (PASSED_OVER.has(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
