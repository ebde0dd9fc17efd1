/** What a guest says about its files, held against what files can be. */
import {
  type FileEvent,
  FileEventType,
  type FileInfo,
  FileType,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { contractBroken } from './guest-error.js';

/** Bytes of a path on Linux, and room for each byte to be shown as U+FFFD. */
const PATH_LENGTH_MAX = 3 * 4096;
const NAME_LENGTH_MAX = 256;
const MODE_MAX = 0o7777;

export interface GuestFileInfo {
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'other';
  sizeBytes: number;
  /** Permission bits. */
  mode: number;
  owner: string;
  group: string;
  modifiedAtNs: bigint;
  /** Empty for all but symbolic links. */
  symlinkTarget: string;
}

export interface GuestFileEvent {
  type: 'ready' | 'create' | 'write' | 'remove' | 'rename' | 'chmod' | 'overflow';
  path: string;
  /** Path before a rename; empty otherwise. */
  oldPath: string;
  isDirectory: boolean;
}

const TYPES: Partial<Record<FileType, GuestFileInfo['type']>> = {
  [FileType.FILE_TYPE_FILE]: 'file',
  [FileType.FILE_TYPE_DIRECTORY]: 'directory',
  [FileType.FILE_TYPE_SYMLINK]: 'symlink',
  [FileType.FILE_TYPE_OTHER]: 'other',
};

const EVENT_TYPES: Partial<Record<FileEventType, GuestFileEvent['type']>> = {
  [FileEventType.FILE_EVENT_TYPE_READY]: 'ready',
  [FileEventType.FILE_EVENT_TYPE_CREATE]: 'create',
  [FileEventType.FILE_EVENT_TYPE_WRITE]: 'write',
  [FileEventType.FILE_EVENT_TYPE_REMOVE]: 'remove',
  [FileEventType.FILE_EVENT_TYPE_RENAME]: 'rename',
  [FileEventType.FILE_EVENT_TYPE_CHMOD]: 'chmod',
  [FileEventType.FILE_EVENT_TYPE_OVERFLOW]: 'overflow',
};

/** @throws WrennError GUEST_UNREACHABLE for what no file is. */
export function checkFileInfo(info: FileInfo | undefined): GuestFileInfo {
  if (!info) throw contractBroken('no file');
  const { path, mode, owner, group, modifiedAtNs, symlinkTarget } = info;
  const type = TYPES[info.type];
  const sizeBytes = Number(info.sizeBytes);
  if (!type) throw contractBroken('a file of no known type');
  if (!isPath(path)) throw contractBroken('a path that is none');
  if (!Number.isSafeInteger(sizeBytes)) throw contractBroken('an impossible size');
  if (mode > MODE_MAX) throw contractBroken('impossible permissions');
  if (owner.length > NAME_LENGTH_MAX || group.length > NAME_LENGTH_MAX) {
    throw contractBroken('a name of a user that is too long');
  }
  if (symlinkTarget.length > PATH_LENGTH_MAX) throw contractBroken('a link that is too long');
  return { path, type, sizeBytes, mode, owner, group, modifiedAtNs, symlinkTarget };
}

/**
 * @param root the directory that is watched.
 * @returns undefined for a kind of event that a newer guest may have.
 * @throws WrennError GUEST_UNREACHABLE for an event of another place.
 */
export function checkFileEvent(event: FileEvent, root: string): GuestFileEvent | undefined {
  const type = EVENT_TYPES[event.type];
  if (!type) return undefined;
  // What was lost has no path of its own: it was somewhere in the directory.
  if (type === 'overflow') return { type, path: root, oldPath: '', isDirectory: true };
  const { path, oldPath, isDirectory } = event;
  for (const named of oldPath === '' ? [path] : [path, oldPath]) {
    if (!isPath(named) || !isBelow(named, root)) {
      throw contractBroken('an event of a path that is not watched');
    }
  }
  return { type, path, oldPath, isDirectory };
}

/** Whether a path is a directory's, or of something in it. */
export function isBelow(path: string, root: string): boolean {
  const prefix = root.endsWith('/') ? root : `${root}/`;
  return path === root || `${path}/` === prefix || path.startsWith(prefix);
}

function isPath(path: string): boolean {
  return path.startsWith('/') && path.length <= PATH_LENGTH_MAX && !path.includes('\0');
}
