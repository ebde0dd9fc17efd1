/** Reads the records of `wrenn-guest watch`; native/guest/watch-records.h draws them. */

/** Kinds of records, by their letters. */
const KINDS = {
  R: 'ready',
  C: 'create',
  W: 'write',
  D: 'remove',
  N: 'rename',
  M: 'chmod',
  O: 'overflow',
  E: 'ended',
} as const;

const HEADER_BYTES = 8;

export interface WatchRecord {
  kind: (typeof KINDS)[keyof typeof KINDS];
  isDirectory: boolean;
  /** Error number, of `ended` only. */
  error: number;
  /** Below the watched directory; U+FFFD stands for what is not valid UTF-8. */
  path: string;
  oldPath: string;
}

export class WatchRecordReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * Adds bytes. @returns the records that are complete with them.
   * @throws Error for what is no record.
   */
  read(bytes: Buffer): WatchRecord[] {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const records: WatchRecord[] = [];
    while (rest.length >= HEADER_BYTES) {
      const pathEnd = HEADER_BYTES + rest.readUInt16LE(4);
      const end = pathEnd + rest.readUInt16LE(6);
      if (rest.length < end) break;
      records.push({
        kind: kindOf(rest.readUInt8(0)),
        isDirectory: rest.readUInt8(1) === 1,
        error: rest.readUInt16LE(2),
        path: rest.toString('utf8', HEADER_BYTES, pathEnd),
        oldPath: rest.toString('utf8', pathEnd, end),
      });
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    return records;
  }
}

function kindOf(letter: number): WatchRecord['kind'] {
  const kind = (KINDS as Record<string, WatchRecord['kind']>)[String.fromCharCode(letter)];
  if (kind === undefined) throw new Error(`no kind of record: ${letter}`);
  return kind;
}
