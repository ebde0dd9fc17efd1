/**
 * What is at a path, in the words of the API. Names that are not valid UTF-8 have U+FFFD for what is
 * not; such a file is listed, but its path leads nowhere.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { type FileInfo, FileType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { type AccountNames, readAccountNames } from '../accounts.js';

const MODE_BITS = 0o7777n;
/** What the nanoseconds since the epoch fit in; some filesystems know later times. */
const TIME_NS_MAX = 2n ** 63n - 1n;

/** Reads what is at a path; a symbolic link is not followed. @throws what the kernel says. */
export async function readFileInfo(path: string): Promise<FileInfo> {
  return describeFile(path, path, await readAccountNames());
}

/** Reads what a path leads to. @throws what the kernel says. */
export async function readFollowedFileInfo(path: string): Promise<FileInfo> {
  return toFileInfo(path, await stat(path, { bigint: true }), '', await readAccountNames());
}

/**
 * Reads what is at a path that need not be UTF-8.
 * @param shown the path as a caller sees it.
 * @throws what the kernel says.
 */
export async function describeFile(
  path: string | Buffer,
  shown: string,
  names: AccountNames,
): Promise<FileInfo> {
  const status = await lstat(path, { bigint: true });
  const target = status.isSymbolicLink() ? await readlink(path, 'buffer') : '';
  return toFileInfo(shown, status, target.toString(), names);
}

function toFileInfo(
  path: string,
  status: BigIntStats,
  symlinkTarget: string,
  { users, groups }: AccountNames,
): FileInfo {
  return {
    path,
    type: typeOf(status),
    sizeBytes: status.size,
    mode: Number(status.mode & MODE_BITS),
    owner: users.get(Number(status.uid)) ?? String(status.uid),
    group: groups.get(Number(status.gid)) ?? String(status.gid),
    modifiedAtNs: bounded(status.mtimeNs),
    symlinkTarget,
  };
}

function typeOf(status: BigIntStats): FileType {
  if (status.isFile()) return FileType.FILE_TYPE_FILE;
  if (status.isDirectory()) return FileType.FILE_TYPE_DIRECTORY;
  if (status.isSymbolicLink()) return FileType.FILE_TYPE_SYMLINK;
  return FileType.FILE_TYPE_OTHER;
}

function bounded(timeNs: bigint): bigint {
  if (timeNs > TIME_NS_MAX) return TIME_NS_MAX;
  return timeNs < -TIME_NS_MAX ? -TIME_NS_MAX : timeNs;
}
