/** Files of a guest as the messages of wrenn.v1. */
import { posix } from 'node:path';
import {
  type FileEvent,
  FileEventType,
  type FileInfo,
  FileType,
} from '../../gen/ts/wrenn/v1/file.js';
import type { GuestFileEvent, GuestFileInfo } from '../guest/file-info.js';

const NS_PER_SEC = 1_000_000_000n;

const TYPES: Record<GuestFileInfo['type'], { type: FileType; letter: string }> = {
  file: { type: FileType.FILE_TYPE_FILE, letter: '-' },
  directory: { type: FileType.FILE_TYPE_DIRECTORY, letter: 'd' },
  symlink: { type: FileType.FILE_TYPE_SYMLINK, letter: 'l' },
  other: { type: FileType.FILE_TYPE_OTHER, letter: '?' },
};

const EVENT_TYPES: Record<GuestFileEvent['type'], FileEventType> = {
  ready: FileEventType.FILE_EVENT_TYPE_READY,
  create: FileEventType.FILE_EVENT_TYPE_CREATE,
  write: FileEventType.FILE_EVENT_TYPE_WRITE,
  remove: FileEventType.FILE_EVENT_TYPE_REMOVE,
  rename: FileEventType.FILE_EVENT_TYPE_RENAME,
  chmod: FileEventType.FILE_EVENT_TYPE_CHMOD,
  overflow: FileEventType.FILE_EVENT_TYPE_OVERFLOW,
};

/** The bits above the permissions, in the places in which `ls -l` shows them. */
const SPECIAL_BITS = [
  { bit: 0o4000, place: 2, letter: 's' },
  { bit: 0o2000, place: 5, letter: 's' },
  { bit: 0o1000, place: 8, letter: 't' },
];

export function toFileInfo(info: GuestFileInfo): FileInfo {
  const { path, sizeBytes, mode, owner, group, modifiedAtNs, symlinkTarget } = info;
  const { type, letter } = TYPES[info.type];
  return {
    ...{ path, type, sizeBytes, mode, owner, group, symlinkTarget },
    name: posix.basename(path),
    permissions: `${letter}${permissionsOf(mode)}`,
    modifiedAt: toTimestampOfNs(modifiedAtNs),
  };
}

export function toFileEvent({ type, path, oldPath, isDirectory }: GuestFileEvent): FileEvent {
  return { type: EVENT_TYPES[type], path, oldPath, isDirectory };
}

/** Permission bits as `ls -l` shows them, such as `rwxr-xr-x`. */
export function permissionsOf(mode: number): string {
  const letters = [...'rwxrwxrwx'].map((letter, index) => (mode & (0o400 >> index) ? letter : '-'));
  for (const { bit, place, letter } of SPECIAL_BITS) {
    if (mode & bit) letters[place] = letters[place] === '-' ? letter.toUpperCase() : letter;
  }
  return letters.join('');
}

/** The remainder of a time before 1970 counts forward, too. */
function toTimestampOfNs(timeNs: bigint): { seconds: bigint; nanos: number } {
  const nanos = ((timeNs % NS_PER_SEC) + NS_PER_SEC) % NS_PER_SEC;
  return { seconds: (timeNs - nanos) / NS_PER_SEC, nanos: Number(nanos) };
}
