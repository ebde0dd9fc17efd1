/**
 * Writes a cpio archive in the "newc" format, the one that the kernel unpacks at boot. Entries keep
 * their order, belong to root and carry no time, so equal content gives equal bytes.
 *
 * Each entry is a header of "070701" and 13 numbers of 8 hexadecimal digits, the name with a zero
 * byte, and the content; name and content are padded to 4 bytes. A "TRAILER!!!" entry ends it.
 */
const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const ALIGNMENT = 4;
const DIRECTORY_TYPE = 0o040000;
const FILE_TYPE = 0o100000;

export interface ArchiveEntry {
  /** Path without a leading slash; folders stand before what is in them. */
  name: string;
  /** Permission bits. */
  mode: number;
  /** Content of a file; left out for a folder. */
  content?: Buffer;
}

export function writeArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => encode(entry, index + 1));
  return Buffer.concat([
    ...parts,
    ...encode({ name: TRAILER, mode: 0, content: Buffer.alloc(0) }, 0),
  ]);
}

function encode({ name, mode, content }: ArchiveEntry, inode: number): Buffer[] {
  const type = content ? FILE_TYPE : DIRECTORY_TYPE;
  const nameBytes = Buffer.from(`${name}\0`);
  const size = content?.length ?? 0;
  const numbers = {
    inode,
    mode: inode === 0 ? 0 : type | mode,
    uid: 0,
    gid: 0,
    links: content ? 1 : 2,
    time: 0,
    size,
    deviceMajor: 0,
    deviceMinor: 0,
    specialMajor: 0,
    specialMinor: 0,
    nameSize: nameBytes.length,
    checksum: 0,
  };
  const header = MAGIC + Object.values(numbers).map(hexadecimal).join('');
  return [
    padded(Buffer.concat([Buffer.from(header), nameBytes])),
    padded(content ?? Buffer.alloc(0)),
  ];
}

function hexadecimal(number: number): string {
  return number.toString(16).padStart(8, '0');
}

function padded(bytes: Buffer): Buffer {
  const missing = (ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
