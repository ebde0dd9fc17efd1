/** Names in a directory, in order, of which only as many are held as are asked for. */
import type { Dir } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { guestFailure } from '../../lib/guest/guest-failure.js';

/** A directory with more entries is not listed: to find the first of them, all must be read. */
export const DIRECTORY_ENTRIES_MAX = 1_000_000;
/** Names that are read from the kernel at once. */
const READ_AHEAD = 1024;

export interface DirectoryName {
  /** As the kernel knows it. */
  raw: Buffer;
  /** As a caller sees it, and by which it is sorted. */
  text: string;
}

export interface NamesWanted {
  /** Names before this one are left out; empty for none. */
  from: string;
  /** Whether `from` itself is left out. */
  exclusive: boolean;
  /** Names at most. */
  count: number;
  /** Names that are no entries of the directory. */
  isHidden: (name: string) => boolean;
  signal: AbortSignal;
  /** Entries that the directory may have; DIRECTORY_ENTRIES_MAX when left out. */
  entriesMax?: number;
}

/**
 * Reads the first of the names that are wanted, sorted.
 * @throws WrennError directory_too_large, the signal's reason, or what the kernel says.
 */
export async function readNames(path: Buffer, wanted: NamesWanted): Promise<DirectoryName[]> {
  // The types of Node know text only, Node itself also bytes.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: READ_AHEAD };
  const directory: Dir = await opendir(path, options);
  try {
    return await selectNames(directory, wanted);
  } finally {
    await directory.close();
  }
}

async function selectNames(
  directory: Dir,
  { from, exclusive, count, isHidden, signal, entriesMax = DIRECTORY_ENTRIES_MAX }: NamesWanted,
): Promise<DirectoryName[]> {
  let names: DirectoryName[] = [];
  /** Once there are enough, what comes after the last of them is not wanted. */
  let last: string | undefined;
  for (let entries = 0; ; entries += 1) {
    const entry = await directory.read();
    if (!entry) return first(names, count);
    signal.throwIfAborted();
    if (entries >= entriesMax) throw guestFailure('directory_too_large');
    const raw = entry.name as unknown as Buffer;
    const text = raw.toString();
    if (exclusive ? text <= from : text < from) continue;
    if ((last !== undefined && text > last) || isHidden(text)) continue;
    names.push({ raw, text });
    // Twice as many are held, so that sorting costs little for each.
    if (names.length < 2 * count) continue;
    names = first(names, count);
    last = names.at(-1)?.text;
  }
}

function first(names: DirectoryName[], count: number): DirectoryName[] {
  return names.sort(compare).slice(0, count);
}

/** By the text, since a caller names by it where to go on. */
function compare(left: DirectoryName, right: DirectoryName): number {
  if (left.text !== right.text) return left.text < right.text ? -1 : 1;
  return Buffer.compare(left.raw, right.raw);
}
