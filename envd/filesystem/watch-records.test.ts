import { expect } from 'chai';
import { type WatchRecord, WatchRecordReader } from './watch-records.js';

/** A record as wrenn-guest writes it. */
function record(
  kind: string,
  path: string | Buffer = '',
  { oldPath = '', directory = 0, error = 0 } = {},
): Buffer {
  const [bytes, oldBytes] = [Buffer.from(path as string), Buffer.from(oldPath)];
  const header = Buffer.alloc(8);
  header.write(kind, 'latin1');
  header.writeUInt8(directory, 1);
  header.writeUInt16LE(error, 2);
  header.writeUInt16LE(bytes.length, 4);
  header.writeUInt16LE(oldBytes.length, 6);
  return Buffer.concat([header, bytes, oldBytes]);
}

describe('WatchRecordReader', () => {
  const bytes = Buffer.concat([
    record('R', '', { directory: 1 }),
    record('N', 'new/ü\n', { oldPath: 'old' }),
    record('E', '', { error: 2 }),
  ]);
  const expected: WatchRecord[] = [
    { kind: 'ready', isDirectory: true, error: 0, path: '', oldPath: '' },
    { kind: 'rename', isDirectory: false, error: 0, path: 'new/ü\n', oldPath: 'old' },
    { kind: 'ended', isDirectory: false, error: 2, path: '', oldPath: '' },
  ];

  for (const size of [1, 7, 8, 9, bytes.length]) {
    it(`reads records that come in pieces of ${size} bytes`, () => {
      const reader = new WatchRecordReader();
      const records: WatchRecord[] = [];
      for (let offset = 0; offset < bytes.length; offset += size) {
        records.push(...reader.read(bytes.subarray(offset, offset + size)));
      }

      expect(records).to.deep.equal(expected);
    });
  }

  it('shows U+FFFD for what is not valid UTF-8', () => {
    const [read] = new WatchRecordReader().read(record('C', Buffer.of(0x61, 0xff)));

    expect(read?.path).to.equal('a\uFFFD');
  });

  it('refuses what is no record', () => {
    expect(() => new WatchRecordReader().read(record('Z'))).to.throw();
  });
});
