/**
 * A memory and what a guest has done to it since it was restored: written
 * something new, written what was there already, and cleared. It knows how the
 * memory must look, so that a diff can be judged.
 */
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import {
  RUN_FIELDS,
  type ScanResult,
  SOURCE_INHERIT,
  SOURCE_ZERO,
} from '../native/addon/binding.js';
import { BLOCK_BYTES, createSparse } from './guest-memory.js';
import { randomNumbers } from './random.js';

const SEED = 0xd1ff;
/** Shares of the blocks that are written, by what is written. */
const NEW_SHARE = 0.05;
const SAME_SHARE = 0.05;
const CLEARED_SHARE = 0.02;

type Change = 'new' | 'same' | 'zero';

export class ChangedMemory {
  readonly blocks: number;
  /** The whole memory before and after. */
  readonly #before: Buffer;
  readonly #after: Buffer;
  readonly #changes = new Map<number, Change>();

  /** @param before content of the file that the memory was restored from. */
  constructor(before: Buffer) {
    this.blocks = before.length / BLOCK_BYTES;
    this.#before = before;
    this.#after = Buffer.from(before);
    const random = randomNumbers(SEED);
    for (let block = 0; block < this.blocks; block += 1) {
      const change = chooseChange(random());
      if (change) this.#apply(block, change);
    }
  }

  /** Blocks that are another than before and not zero: what any diff must hold. */
  get changedBlocks(): number {
    return this.#count((block) => this.#differs(block) && !this.#isZero(block));
  }

  /** Blocks that were written, whatever was written. */
  get writtenBlocks(): number {
    return this.#changes.size;
  }

  /** Writes the changes as private-memory.c reads them. */
  async writeList(path: string): Promise<void> {
    const lines = [...this.#changes].map(([block, change]) => `${block} ${change}\n`);
    await writeFile(path, lines.join(''));
  }

  /** Makes the memory file of a VMM: what was not written is a hole. */
  async writeMemory(path: string): Promise<FileHandle> {
    const file = await createSparse(path, this.blocks);
    for (const block of this.#changes.keys()) {
      await file.write(this.#after, block * BLOCK_BYTES, BLOCK_BYTES, block * BLOCK_BYTES);
    }
    return file;
  }

  /** @throws Error when parent and diff together are not the memory. */
  async check({ runs }: ScanResult, diffPath: string): Promise<void> {
    await using diff = await open(diffPath);
    const block = Buffer.alloc(BLOCK_BYTES);
    for (let at = 0; at < runs.length; at += RUN_FIELDS) {
      const [first = 0, count = 0, source = 0, sourceFirst = 0] = runs.subarray(
        at,
        at + RUN_FIELDS,
      );
      for (let index = 0; index < count; index += 1) {
        if (source === SOURCE_INHERIT) {
          this.#before.copy(block, 0, ...range(first + index));
        } else if (source === SOURCE_ZERO) block.fill(0);
        else await diff.read(block, 0, BLOCK_BYTES, (sourceFirst + index) * BLOCK_BYTES);
        if (this.#after.compare(block, 0, BLOCK_BYTES, ...range(first + index)) !== 0)
          throw new Error(`block ${first + index} is wrong after the diff`);
      }
    }
  }

  #apply(block: number, change: Change): void {
    this.#changes.set(block, change);
    if (change === 'same') return;
    const content = this.#after.subarray(...range(block));
    content.fill(0);
    if (change === 'zero') return;
    // As private-memory.c does it: the complement of the number, over and over.
    const word = BigInt.asUintN(64, ~BigInt(block));
    for (let at = 0; at < BLOCK_BYTES; at += 8) content.writeBigUInt64LE(word, at);
  }

  #differs(block: number): boolean {
    return this.#after.compare(this.#before, ...range(block), ...range(block)) !== 0;
  }

  #isZero(block: number): boolean {
    return this.#after.subarray(...range(block)).every((byte) => byte === 0);
  }

  #count(holds: (block: number) => boolean): number {
    let count = 0;
    for (let block = 0; block < this.blocks; block += 1) if (holds(block)) count += 1;
    return count;
  }
}

function chooseChange(number: number): Change | undefined {
  if (number < NEW_SHARE) return 'new';
  if (number < NEW_SHARE + SAME_SHARE) return 'same';
  if (number < NEW_SHARE + SAME_SHARE + CLEARED_SHARE) return 'zero';
  return undefined;
}

function range(block: number): [start: number, end: number] {
  return [block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES];
}
