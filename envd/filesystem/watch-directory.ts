/**
 * Watches directories, each by a `wrenn-guest watch` that lives as long as its caller listens. A
 * write is told when it happens, not only when the file is closed; of several changes of the same
 * file those that the caller has not yet taken are told once.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { type FileEvent, FileEventType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { type GuestFailure, guestFailure } from '../../lib/guest/guest-failure.js';
import { EventQueue } from './event-queue.js';
import { fileFailure } from './file-failure.js';
import { isTemporaryName } from './temporary-files.js';
import { type WatchRecord, WatchRecordReader } from './watch-records.js';

/** Watches of a guest at one time; below what the kernel lets one user have. */
export const WATCHES_MAX = 64;

const TYPES: Record<Exclude<WatchRecord['kind'], 'ended'>, FileEventType> = {
  ready: FileEventType.FILE_EVENT_TYPE_READY,
  create: FileEventType.FILE_EVENT_TYPE_CREATE,
  write: FileEventType.FILE_EVENT_TYPE_WRITE,
  remove: FileEventType.FILE_EVENT_TYPE_REMOVE,
  rename: FileEventType.FILE_EVENT_TYPE_RENAME,
  chmod: FileEventType.FILE_EVENT_TYPE_CHMOD,
  overflow: FileEventType.FILE_EVENT_TYPE_OVERFLOW,
};

/** What the kernel means where it is asked to watch. */
const FAILURES: Record<string, GuestFailure> = {
  ENOTDIR: 'file_not_directory',
  EMFILE: 'watch_limit',
  ENFILE: 'watch_limit',
  ENOSPC: 'watch_limit',
};

export interface Watched {
  path: string;
  recursive: boolean;
}

type Helper = ChildProcessByStdio<null, Readable, null>;

export class DirectoryWatches {
  readonly #helperPath: string;
  #count = 0;

  /** @param helperPath the program wrenn-guest. */
  constructor(helperPath: string) {
    this.#helperPath = helperPath;
  }

  /**
   * Tells what happens in a directory, after a first event READY. It ends by an error alone:
   * FILE_NOT_FOUND once the directory is removed or renamed, else the signal's reason.
   */
  async *watch(watched: Watched, signal: AbortSignal): AsyncGenerator<FileEvent, void, void> {
    signal.throwIfAborted();
    if (this.#count >= WATCHES_MAX) throw guestFailure('watch_limit');
    this.#count += 1;
    const events = new EventQueue();
    const stop = () => events.fail(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    let helper: Helper | undefined;
    try {
      helper = startHelper(this.#helperPath, watched, events);
      yield* events.take();
    } finally {
      this.#count -= 1;
      signal.removeEventListener('abort', stop);
      helper?.kill('SIGKILL');
      helper?.stdout.destroy();
    }
  }
}

function startHelper(helperPath: string, { path, recursive }: Watched, events: EventQueue): Helper {
  const args = ['watch', ...(recursive ? ['--recursive'] : []), path];
  const helper: Helper = spawn(helperPath, args, {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const reader = new WatchRecordReader();
  helper.stdout.on('data', (bytes: Buffer) => {
    try {
      for (const record of reader.read(bytes)) deliver(record, path, events);
    } catch (error) {
      events.fail(guestFailure('file_not_usable', error));
    }
  });
  helper.stdout.on('error', () => undefined);
  helper.on('error', (error) => events.fail(guestFailure('file_not_usable', error)));
  // A user of the guest may kill what they like.
  helper.on('close', () => {
    events.fail(guestFailure('file_not_usable', new Error('the watch was ended')));
  });
  return helper;
}

function deliver(record: WatchRecord, root: string, events: EventQueue): void {
  if (record.kind === 'ended') events.fail(endOf(record.error));
  else for (const event of toEvents(record, record.kind, root)) events.push(event);
}

function endOf(error: number): Error {
  const code = error === 0 ? '' : getSystemErrorName(-error);
  const failure = FAILURES[code];
  if (failure) return guestFailure(failure);
  return fileFailure(Object.assign(new Error('the watch ended'), { code }), 'file_not_found');
}

/** The daemon's own temporary files are nobody's business: one that gets its name is new. */
function toEvents(
  { path, oldPath, isDirectory }: WatchRecord,
  kind: keyof typeof TYPES,
  root: string,
): FileEvent[] {
  if (isTemporary(path)) return [];
  const isNew = kind === 'rename' && isTemporary(oldPath);
  return [
    {
      type: TYPES[isNew ? 'create' : kind],
      path: kind === 'overflow' ? '' : join(root, path),
      oldPath: kind === 'rename' && !isNew ? join(root, oldPath) : '',
      isDirectory,
    },
  ];
}

function isTemporary(path: string): boolean {
  return isTemporaryName(path.slice(path.lastIndexOf('/') + 1));
}

function join(root: string, path: string): string {
  if (path === '') return root;
  return root.endsWith('/') ? root + path : `${root}/${path}`;
}
