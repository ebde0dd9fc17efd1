/**
 * The reference that chains of memory are held against: a guest's memory as
 * plain bytes, and the sparse file that a VMM would have of it.
 */
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { BLOCK_BYTES } from '../../agent/snapshot/memory-header.js';

export type GuestAction =
  /** Other content. */
  | { kind: 'write'; first: number; count: number; byte: number }
  /** All zero but one byte. */
  | { kind: 'sparse'; first: number; count: number; byte: number; offset: number }
  /** The bytes that are there already; also what a page server does by itself. */
  | { kind: 'rewrite'; first: number; count: number }
  | { kind: 'zero'; first: number; count: number }
  /** The VMM gives blocks back, and they read as zero. */
  | { kind: 'remove'; first: number; count: number };

export class ModelGuest {
  readonly blockCount: number;
  #content: Buffer;
  #touched = new Set<number>();
  #removed = new Set<number>();

  constructor(blockCount: number) {
    this.blockCount = blockCount;
    this.#content = Buffer.alloc(blockCount * BLOCK_BYTES);
  }

  /** All of its memory. */
  get content(): Buffer {
    return Buffer.from(this.#content);
  }

  /** One bit for each block that was given back. */
  get removed(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.blockCount / 8));
    for (const block of this.#removed)
      bits[block >> 3] = (bits[block >> 3] ?? 0) | (1 << (block % 8));
    return bits;
  }

  act(action: GuestAction): void {
    const end = Math.min(action.first + action.count, this.blockCount);
    for (let block = action.first; block < end; block++) this.#actOn(block, action);
  }

  /** A machine comes out of what it is now: nothing is touched yet. */
  restored(): void {
    this.#touched.clear();
    this.#removed.clear();
  }

  /** Calls with the descriptor of a file that has content where the guest has touched it, and holes elsewhere. */
  async withFile<Result>(path: string, use: (fd: number) => Promise<Result>): Promise<Result> {
    const file = openSync(path, 'wx+');
    try {
      ftruncateSync(file, this.#content.length);
      for (const block of this.#touched)
        writeSync(file, this.#block(block), 0, BLOCK_BYTES, block * BLOCK_BYTES);
      return await use(file);
    } finally {
      closeSync(file);
      rmSync(path);
    }
  }

  /** How many blocks hold something else than `parent`, and not zero. */
  changedBlocks(parent: Buffer): number {
    const zero = Buffer.alloc(BLOCK_BYTES);
    let changed = 0;
    for (let block = 0; block < this.blockCount; block++) {
      const now = this.#block(block);
      const start = block * BLOCK_BYTES;
      const before = parent.subarray(start, start + BLOCK_BYTES);
      if (!now.equals(before) && !now.equals(zero)) changed++;
    }
    return changed;
  }

  #actOn(block: number, action: GuestAction): void {
    const bytes = this.#block(block);
    if (action.kind === 'write') bytes.fill(action.byte);
    else if (action.kind !== 'rewrite') bytes.fill(0);
    if (action.kind === 'sparse') bytes[action.offset] = action.byte;
    if (action.kind === 'remove') {
      this.#touched.delete(block);
      this.#removed.add(block);
    } else this.#touched.add(block);
  }

  #block(block: number): Buffer {
    return this.#content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
  }
}
