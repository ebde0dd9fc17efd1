/** How files of a sandbox are printed for people. Their names are the sandbox's, and may say anything. */
import { type FileInfo, FileType } from '../../clients/typescript/index.js';
import type { Timestamp } from '../../gen/ts/google/protobuf/timestamp.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import { printable } from './printable.js';
import { formatSize } from './size.js';
import { formatTable } from './table.js';

const COLUMNS = ['PERMISSIONS', 'OWNER', 'GROUP', 'SIZE', 'MODIFIED', 'NAME'];
const PERMISSION_DIGITS = 4;

/** Its path below the directory that was listed; a directory ends in `/`. */
export function formatFileLine({ path, type }: FileInfo, directory: string): string {
  const base = directory.replace(/\/*$/, '/');
  const name = path.startsWith(base) ? path.slice(base.length) : path;
  return printable(name) + (type === FileType.FILE_TYPE_DIRECTORY ? '/' : '');
}

/** A table of files, as `ls -l` has it. */
export function formatFileRows(files: readonly FileInfo[], directory: string): string[] {
  const rows = files.map((file) => [
    printable(file.permissions),
    printable(file.owner),
    printable(file.group),
    formatSize(file.sizeBytes),
    formatTime(file.modifiedAt),
    formatFileLine(file, directory) + formatTarget(file),
  ]);
  return formatTable(COLUMNS, rows);
}

/** One line for each thing that is known of a file. */
export function describeFile(file: FileInfo): string[] {
  const mode = file.mode.toString(8).padStart(PERMISSION_DIGITS, '0');
  const rows = [
    ['PATH', printable(file.path) + formatTarget(file)],
    ['TYPE', (FileType[file.type] ?? String(file.type)).replace('FILE_TYPE_', '')],
    ['SIZE', `${file.sizeBytes} bytes`],
    ['PERMISSIONS', `${printable(file.permissions)} (${mode})`],
    ['OWNER', `${printable(file.owner)}:${printable(file.group)}`],
    ['MODIFIED', formatTime(file.modifiedAt)],
  ];
  const [first = [], ...others] = rows;
  return formatTable(first, others);
}

function formatTarget({ symlinkTarget }: FileInfo): string {
  return symlinkTarget === '' ? '' : ` -> ${printable(symlinkTarget)}`;
}

/** In UTC, to the second. */
function formatTime(time: Timestamp | undefined): string {
  if (!time) return 'unknown';
  const date = new Date(fromTimestamp(time));
  return Number.isNaN(date.getTime()) ? 'unknown' : date.toISOString().replace(/\.\d+Z$/, 'Z');
}
