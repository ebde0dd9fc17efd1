/**
 * The memory of a fake machine: a sparse file of the machine's size, so that
 * whatever reads, compares and copies the memory of a real machine works on it.
 *
 * It holds named entries. Each has blocks of its own, at a place that its name
 * decides, so that entries lie all over the file and a change of one changes
 * few blocks:
 *
 *     block 0          magic, then place and length of the index
 *     anywhere         the index: JSON of name → [first block, bytes]
 *     anywhere         the entries
 *
 * Blocks that were never used are holes. Blocks that are used no more are zero,
 * but data: a guest clears its memory, it does not give it back.
 */
import { type FileHandle, open } from 'node:fs/promises';

const BLOCK_BYTES = 4096;
const MAGIC = 'wrenn fake memory 1\n';
/** Magic, and three numbers of 32 bits: first block and bytes of the index. */
const HEADER_BYTES = MAGIC.length + 8;
const INDEX_NAME = '';

/** Consecutive blocks, and how much of them is content. */
interface Extent {
  block: number;
  bytes: number;
}

export class MemoryImage {
  readonly path: string;
  readonly #blocks: number;
  #index: Extent | undefined;
  #extents = new Map<string, Extent>();

  private constructor(path: string, sizeBytes: number) {
    this.path = path;
    this.#blocks = sizeBytes / BLOCK_BYTES;
  }

  /** Makes an empty memory. */
  static async create(path: string, sizeBytes: number): Promise<MemoryImage> {
    await using file = await open(path, 'wx', 0o600);
    await file.truncate(sizeBytes);
    return new MemoryImage(path, sizeBytes);
  }

  /** Makes a memory that equals another's file. @throws Error when that is none, or of another size. */
  static async copy(source: string, path: string, sizeBytes: number): Promise<MemoryImage> {
    await using original = await open(source, 'r');
    const { size } = await original.stat();
    if (size !== sizeBytes) throw new Error(`the memory has ${size} bytes, not ${sizeBytes}`);
    const image = await MemoryImage.create(path, sizeBytes);
    await image.#copyFrom(original);
    return image;
  }

  async read(): Promise<Map<string, Buffer>> {
    await using file = await open(this.path, 'r');
    const entries = new Map<string, Buffer>();
    for (const [name, extent] of this.#extents) {
      entries.set(name, await readExtent(file, extent));
    }
    return entries;
  }

  /** Makes the entries all that is in memory; writes no block that has its content already. */
  async write(entries: ReadonlyMap<string, Buffer>): Promise<void> {
    const before = [...this.#extents.values(), ...(this.#index ? [this.#index] : [])];
    const used = new Uint8Array(this.#blocks).fill(1, 0, 1);
    const kept = this.#keepPlaces(entries, used);
    const extents = new Map<string, Extent>();
    for (const [name, content] of entries) {
      extents.set(name, kept.get(name) ?? allocate(used, name, content.length));
    }
    const indexContent = encodeIndex(extents);
    const index = allocate(used, INDEX_NAME, indexContent.length);

    await using file = await open(this.path, 'r+');
    for (const [name, { block }] of extents) {
      await writeChanged(file, block, entries.get(name) ?? Buffer.alloc(0));
    }
    await writeChanged(file, index.block, indexContent);
    await writeChanged(file, 0, encodeHeader(index));
    await clear(file, before, used);
    this.#extents = extents;
    this.#index = index;
  }

  /** Places of entries that have as many blocks as before; they are marked as used. */
  #keepPlaces(entries: ReadonlyMap<string, Buffer>, used: Uint8Array): Map<string, Extent> {
    const kept = new Map<string, Extent>();
    for (const [name, { block, bytes }] of this.#extents) {
      const content = entries.get(name);
      if (!content || blocksOf(content.length) !== blocksOf(bytes)) continue;
      used.fill(1, block, block + blocksOf(bytes));
      kept.set(name, { block, bytes: content.length });
    }
    return kept;
  }

  /** Copies what the index names: all other blocks are zero, and may stay holes. */
  async #copyFrom(original: FileHandle): Promise<void> {
    const header = await readBytes(original, 0, HEADER_BYTES);
    const index = decodeHeader(header, this.#blocks);
    const indexContent = await readExtent(original, index);
    const extents = decodeIndex(indexContent, this.#blocks);

    await using file = await open(this.path, 'r+');
    await writeChanged(file, 0, header);
    await writeChanged(file, index.block, indexContent);
    for (const extent of extents.values()) {
      await writeChanged(file, extent.block, await readExtent(original, extent));
    }
    this.#index = index;
    this.#extents = extents;
  }
}

/** Writes content and the zeros after it, up to the end of its last block. */
async function writeChanged(file: FileHandle, block: number, content: Buffer): Promise<void> {
  const padded = Buffer.alloc(blocksOf(content.length) * BLOCK_BYTES);
  content.copy(padded);
  const present = await readBytes(file, block * BLOCK_BYTES, padded.length);
  for (let offset = 0; offset < padded.length; offset += BLOCK_BYTES) {
    const end = offset + BLOCK_BYTES;
    if (padded.compare(present, offset, end, offset, end) === 0) continue;
    await file.write(padded, offset, BLOCK_BYTES, block * BLOCK_BYTES + offset);
  }
}

async function clear(
  file: FileHandle,
  extents: readonly Extent[],
  used: Uint8Array,
): Promise<void> {
  for (const { block, bytes } of extents) {
    for (let place = block; place < block + blocksOf(bytes); place += 1) {
      if (!used[place]) await writeChanged(file, place, Buffer.alloc(BLOCK_BYTES));
    }
  }
}

/** Finds free blocks, from a place on that the name decides, and marks them. */
function allocate(used: Uint8Array, name: string, bytes: number): Extent {
  const wanted = blocksOf(bytes);
  const start = hash(name) % used.length;
  const block =
    findFree(used, wanted, start, used.length) ?? findFree(used, wanted, 0, used.length);
  if (block === undefined) throw new Error('the guest is out of memory');
  used.fill(1, block, block + wanted);
  return { block, bytes };
}

function findFree(
  used: Uint8Array,
  wanted: number,
  start: number,
  end: number,
): number | undefined {
  let free = 0;
  for (let block = start; block < end; block += 1) {
    free = used[block] ? 0 : free + 1;
    if (free === wanted) return block - wanted + 1;
  }
  return undefined;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/** An empty entry has a block too, so that every entry has a place. */
function blocksOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / BLOCK_BYTES));
}

function encodeHeader({ block, bytes }: Extent): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  header.writeUInt32LE(block, MAGIC.length);
  header.writeUInt32LE(bytes, MAGIC.length + 4);
  return header;
}

function decodeHeader(header: Buffer, blocks: number): Extent {
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new Error('the memory is not that of a fake machine');
  }
  const block = header.readUInt32LE(MAGIC.length);
  return inside({ block, bytes: header.readUInt32LE(MAGIC.length + 4) }, blocks);
}

function encodeIndex(extents: ReadonlyMap<string, Extent>): Buffer {
  const places = [...extents].map(([name, { block, bytes }]) => [name, [block, bytes]]);
  return Buffer.from(JSON.stringify(Object.fromEntries(places)));
}

function decodeIndex(content: Buffer, blocks: number): Map<string, Extent> {
  const places = Object.entries(JSON.parse(content.toString()) as Record<string, number[]>);
  return new Map(
    places.map(([name, [block = -1, bytes = -1]]) => [name, inside({ block, bytes }, blocks)]),
  );
}

function inside(extent: Extent, blocks: number): Extent {
  const { block, bytes } = extent;
  if (block > 0 && bytes >= 0 && block + blocksOf(bytes) <= blocks) return extent;
  throw new Error('the index of the memory is damaged');
}

function readExtent(file: FileHandle, { block, bytes }: Extent): Promise<Buffer> {
  return readBytes(file, block * BLOCK_BYTES, bytes);
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error('the memory is shorter than its size');
  return buffer;
}
