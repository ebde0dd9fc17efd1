/**
 * The filesystem of a fake guest: files and directories in memory, without
 * links. What lies on the guest's disk is written there too; a disk keeps
 * files alone, so its directories are those that its files need.
 */
import { dirname, posix } from 'node:path';
import {
  FileEventType,
  type FileInfo,
  type ListDirRequest,
  type ListDirResponse,
} from '../../../../gen/ts/wrenn/envd/v1/filesystem.js';
import { guestFailure } from '../../../../lib/guest/guest-failure.js';
import { decodeEntry, encodeEntry, entryInfo, type FakeEntry } from './entry.js';
import { FileWatch } from './watch.js';

/** Bytes of all files together. */
export const FILES_BYTES_MAX = 64 * 1024 * 1024;
/** Users of a fake guest. */
export const USERS: ReadonlySet<string> = new Set(['root', 'nobody']);

const WATCHES_MAX = 64;
const NEW_FILE_MODE = 0o644;
const NEW_DIRECTORY_MODE = 0o755;
/** Directories that a guest has before anybody wrote to it. */
const DIRECTORIES = ['/', '/etc', '/root', '/run', '/tmp'];
const NOTHING = Buffer.alloc(0);

/** Where a guest's files are that are not in its memory. */
export interface GuestDisk {
  holds(path: string): boolean;
  /** Each path's content, or undefined for one that is to be no more. */
  write(files: ReadonlyMap<string, Buffer | undefined>): Promise<void>;
}

export const NO_DISK: GuestDisk = { holds: () => false, write: async () => undefined };

export interface NewFile {
  path: string;
  content: Buffer;
  /** Owner of what is new; `root` when empty. */
  user: string;
  /** Permission bits; 0 keeps those of a file that is there. */
  mode: number;
}

type DiskChange = [path: string, content: Buffer | undefined];

export class FakeFiles {
  readonly #disk: GuestDisk;
  readonly #entries = new Map<string, FakeEntry>();
  readonly #watches = new Set<FileWatch>();
  #bytes = 0;

  constructor(disk: GuestDisk) {
    this.#disk = disk;
    for (const path of DIRECTORIES) this.#entries.set(path, directoryOf('root'));
  }

  /** The content of a file; undefined when there is none. */
  read(path: string): Buffer | undefined {
    const entry = this.#entries.get(resolve(path));
    return entry?.type === 'file' ? entry.content : undefined;
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE. */
  readFile(path: string): Buffer {
    const entry = this.#existing(resolve(path));
    if (entry.type === 'directory') throw guestFailure('file_is_directory');
    return entry.content;
  }

  isDirectory(path: string): boolean {
    return this.#entries.get(resolve(path))?.type === 'directory';
  }

  /** Resolves when the file is written, on the disk too. @throws WrennError FILE_NOT_USABLE, GUEST_DISK_FULL. */
  async write({ path: given, content, user, mode }: NewFile): Promise<void> {
    const owner = requireUser(user);
    const path = resolve(given);
    const replaced = this.#entries.get(path);
    if (replaced?.type === 'directory' || given.endsWith('/')) {
      throw guestFailure('file_is_directory');
    }
    this.#requireParents(path);
    this.requireRoom(content.length - (replaced?.content.length ?? 0));
    if (this.#disk.holds(path)) await this.#disk.write(new Map([[path, content]]));

    const attributes = { owner: replaced?.owner ?? owner, mode: replaced?.mode ?? NEW_FILE_MODE };
    const modifiedAtMs = Date.now();
    this.#makeParents(path, owner);
    this.#put(path, {
      type: 'file',
      content,
      ...attributes,
      ...(mode ? { mode } : {}),
      modifiedAtMs,
    });
    const { FILE_EVENT_TYPE_WRITE, FILE_EVENT_TYPE_CREATE } = FileEventType;
    if (!replaced) this.#tell(FILE_EVENT_TYPE_CREATE, path);
    this.#tell(FILE_EVENT_TYPE_WRITE, path);
  }

  /** @throws WrennError GUEST_DISK_FULL when there is no room for as many bytes more. */
  requireRoom(bytes: number): void {
    if (this.#bytes + bytes > FILES_BYTES_MAX) throw guestFailure('disk_full');
  }

  /** @throws WrennError FILE_NOT_FOUND. */
  stat(given: string): FileInfo {
    const path = resolve(given);
    return entryInfo(path, this.#existing(path));
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE. */
  list({ path: given, depth, entriesMax, after }: ListDirRequest): ListDirResponse {
    const path = resolve(given);
    if (this.#existing(path).type !== 'directory') throw guestFailure('file_not_directory');
    const levels = levelsOf(path) + Math.max(depth, 1);
    const last = after === '' ? '' : sortKey(resolve(after));
    const listed = [...this.#below(path)]
      .filter((below) => levelsOf(below) <= levels && (last === '' || sortKey(below) > last))
      .sort((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1));
    const entries = listed
      .slice(0, entriesMax)
      .map((below) => entryInfo(below, this.#existing(below)));
    return { entries, hasMore: listed.length > entriesMax };
  }

  /** @throws WrennError FILE_EXISTS, FILE_NOT_USABLE. */
  makeDirectory(given: string, user: string, mode: number): FileInfo {
    const owner = requireUser(user);
    const path = resolve(given);
    const present = this.#entries.get(path);
    if (present?.type === 'file') throw guestFailure('file_exists');
    if (!present) {
      this.#requireParents(path);
      this.#makeParents(path, owner);
      this.#putDirectory(path, directoryOf(owner, mode || NEW_DIRECTORY_MODE));
    }
    return this.stat(path);
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_EXISTS, FILE_NOT_USABLE. */
  async move(from: string, to: string, user: string): Promise<FileInfo> {
    const owner = requireUser(user);
    const [source, destination] = [resolve(from), resolve(to)];
    const moved = this.#existing(source);
    if (source === destination) return this.stat(source);
    this.#requireMovable(source, destination);
    const paths = [source, ...this.#below(source)];
    const renamed = (path: string) => `${destination}${path.slice(source.length)}`;
    const files = paths.filter((path) => !this.isDirectory(path));
    await this.#writeToDisk([
      ...files.map((path): DiskChange => [path, undefined]),
      ...files.map((path): DiskChange => [renamed(path), this.read(path)]),
    ]);

    this.#makeParents(destination, owner);
    this.#delete(destination);
    for (const path of paths) {
      const entry = this.#existing(path);
      this.#delete(path);
      this.#put(renamed(path), entry);
    }
    const isDirectory = moved.type === 'directory';
    this.#tell(FileEventType.FILE_EVENT_TYPE_RENAME, destination, isDirectory, source);
    return this.stat(destination);
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE. */
  async remove(given: string): Promise<void> {
    const path = resolve(given);
    this.#existing(path);
    if (path === '/' || this.#disk.holds(`${path}/`)) throw guestFailure('file_mount_point');
    // What lies deepest goes first, as whoever watches would see it.
    const paths = [path, ...this.#below(path)].sort().reverse();
    const files = paths.filter((removed) => !this.isDirectory(removed));
    await this.#writeToDisk(files.map((removed) => [removed, undefined]));
    for (const removed of paths) {
      const isDirectory = this.isDirectory(removed);
      this.#delete(removed);
      this.#tell(FileEventType.FILE_EVENT_TYPE_REMOVE, removed, isDirectory);
    }
  }

  /** @throws WrennError FILE_NOT_FOUND, FILE_NOT_USABLE, STREAM_LIMIT. */
  watch(given: string, recursive: boolean): FileWatch {
    const path = resolve(given);
    if (this.#existing(path).type !== 'directory') throw guestFailure('file_not_directory');
    if (this.#watches.size >= WATCHES_MAX) throw guestFailure('watch_limit');
    const watch = new FileWatch(path, recursive, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  /** What is in the guest's memory, by path. */
  export(): Record<string, string> {
    const inMemory = [...this.#entries].filter(([path]) => !this.#disk.holds(path));
    return Object.fromEntries(inMemory.map(([path, entry]) => [path, encodeEntry(entry)]));
  }

  /** Forgets all files, and has those that were exported. */
  import(files: Record<string, string>): void {
    this.#entries.clear();
    this.#bytes = 0;
    this.#entries.set('/', directoryOf('root'));
    for (const [path, text] of Object.entries(files)) {
      this.#makeParents(path, 'root');
      this.#put(path, decodeEntry(text));
    }
  }

  /** Shows what is on the disk. */
  mount(files: ReadonlyMap<string, Buffer>): void {
    for (const [path, content] of files) {
      this.#makeParents(path, 'root');
      const attributes = { owner: 'root', mode: NEW_FILE_MODE, modifiedAtMs: Date.now() };
      this.#put(path, { type: 'file', content, ...attributes });
    }
  }

  #existing(path: string): FakeEntry {
    const entry = this.#entries.get(path);
    if (entry) return entry;
    this.#requireParents(path);
    throw guestFailure('file_not_found');
  }

  *#below(path: string): Iterable<string> {
    const prefix = path === '/' ? '/' : `${path}/`;
    for (const other of this.#entries.keys()) {
      if (other.length > prefix.length && other.startsWith(prefix)) yield other;
    }
  }

  #requireParents(path: string): void {
    for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
      if (this.#entries.get(parent)?.type === 'file') throw guestFailure('file_parent');
    }
  }

  #makeParents(path: string, owner: string): void {
    const parent = dirname(path);
    if (this.#entries.has(parent)) return;
    this.#makeParents(parent, owner);
    this.#putDirectory(parent, directoryOf(owner));
  }

  #putDirectory(path: string, directory: FakeEntry): void {
    this.#put(path, directory);
    this.#tell(FileEventType.FILE_EVENT_TYPE_CREATE, path, true);
  }

  #requireMovable(source: string, destination: string): void {
    if (this.isDirectory(destination)) throw guestFailure('file_exists');
    this.#requireParents(destination);
    if (source === '/' || this.#disk.holds(`${source}/`)) throw guestFailure('file_mount_point');
    if (destination.startsWith(`${source}/`)) throw guestFailure('file_not_usable');
    if (this.isDirectory(source) && this.#entries.has(destination)) {
      throw guestFailure('file_exists');
    }
    if (this.#disk.holds(source) !== this.#disk.holds(destination)) {
      throw guestFailure('file_other_filesystem');
    }
  }

  async #writeToDisk(changes: DiskChange[]): Promise<void> {
    const onDisk = changes.filter(([path]) => this.#disk.holds(path));
    if (onDisk.length > 0) await this.#disk.write(new Map(onDisk));
  }

  #put(path: string, entry: FakeEntry): void {
    this.#delete(path);
    this.#entries.set(path, entry);
    this.#bytes += entry.content.length;
  }

  #delete(path: string): void {
    this.#bytes -= this.#entries.get(path)?.content.length ?? 0;
    this.#entries.delete(path);
  }

  #tell(type: FileEventType, path: string, isDirectory = false, oldPath = ''): void {
    for (const watch of this.#watches) watch.tell({ type, path, oldPath, isDirectory });
  }
}

/** @throws WrennError FILE_NOT_USABLE for a user that the guest does not have. */
function requireUser(user: string): string {
  const owner = user || 'root';
  if (!USERS.has(owner)) throw guestFailure('file_user_unknown');
  return owner;
}

function directoryOf(owner: string, mode = NEW_DIRECTORY_MODE): FakeEntry {
  return { type: 'directory', content: NOTHING, owner, mode, modifiedAtMs: Date.now() };
}

function levelsOf(path: string): number {
  return path === '/' ? 0 : path.split('/').length - 1;
}

/** Orders paths part by part: what is in a directory comes right after it. */
function sortKey(path: string): string {
  return path.replaceAll('/', '\0');
}

function resolve(path: string): string {
  return posix.resolve('/', path);
}
