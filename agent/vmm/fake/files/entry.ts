/** What is at a path of a fake guest, and how it lies in the guest's memory as one line of text. */
import { type FileInfo, FileType } from '../../../../gen/ts/wrenn/envd/v1/filesystem.js';

const NS_PER_MS = 1_000_000n;
const NEW_FILE_MODE = 0o644;
/** What a directory says its size is, as one of ext4 does. */
const DIRECTORY_BYTES = 4096;
const GROUPS: Readonly<Record<string, string>> = { nobody: 'nogroup' };

export interface FakeEntry {
  type: 'file' | 'directory';
  /** Empty for a directory. */
  content: Buffer;
  owner: string;
  mode: number;
  /** Milliseconds since the epoch. */
  modifiedAtMs: number;
}

export function entryInfo(path: string, entry: FakeEntry): FileInfo {
  const isFile = entry.type === 'file';
  return {
    path,
    type: isFile ? FileType.FILE_TYPE_FILE : FileType.FILE_TYPE_DIRECTORY,
    sizeBytes: BigInt(isFile ? entry.content.length : DIRECTORY_BYTES),
    mode: entry.mode,
    owner: entry.owner,
    group: GROUPS[entry.owner] ?? entry.owner,
    modifiedAtNs: BigInt(entry.modifiedAtMs) * NS_PER_MS,
    symlinkTarget: '',
  };
}

export function encodeEntry({ type, content, owner, mode, modifiedAtMs }: FakeEntry): string {
  return [content.toString('base64'), type, owner, mode.toString(8), modifiedAtMs].join(' ');
}

/** The content alone is a file too, of root. */
export function decodeEntry(text: string): FakeEntry {
  const [content = '', type, owner = 'root', mode = NEW_FILE_MODE.toString(8), at = '0'] =
    text.split(' ');
  return {
    type: type === 'directory' ? type : 'file',
    content: Buffer.from(content, 'base64'),
    owner,
    mode: Number.parseInt(mode, 8),
    modifiedAtMs: Number(at),
  };
}
