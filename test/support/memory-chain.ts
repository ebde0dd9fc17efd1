/** A chain of memory files as the store of snapshots keeps it, in a folder of a test. */
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { applyDiff, mergedHeader } from '../../agent/snapshot/memory-diff.js';
import {
  BLOCK_BYTES,
  type MemoryHeader,
  parseHeader,
  serializeHeader,
} from '../../agent/snapshot/memory-header.js';
import { eachRun, isStored } from '../../agent/snapshot/memory-map.js';
import {
  addon,
  type MappedMemory,
  type MemorySource,
  type ScanResult,
} from '../../native/addon/binding.js';

/** Bytes that stat counts as one block. */
const STAT_BLOCK_BYTES = 512;

export class MemoryChain implements Disposable {
  readonly #folder: string;
  readonly #sizeBytes: number;
  readonly #name: string;
  readonly #verified: boolean;
  #header: MemoryHeader | undefined;
  #builds = 0;
  #removed: string[] = [];

  /**
   * @param name begins with a letter, has a few of them, and is of this chain alone.
   * @param verified false for files of which no checksums are known.
   */
  constructor(folder: string, blockCount: number, name = 'chain', verified = true) {
    this.#folder = folder;
    this.#sizeBytes = blockCount * BLOCK_BYTES;
    this.#name = name;
    this.#verified = verified;
  }

  get header(): MemoryHeader {
    if (!this.#header) throw new Error('nothing was scanned yet');
    return this.#header;
  }

  /** Writes what has changed, and removes the files that are not read any more. */
  async append(source: MemorySource, removed?: Uint8Array): Promise<ScanResult> {
    const buildId = this.#nextBuild();
    const result = await this.#toFile(buildId, (outputFd) =>
      this.#withMemory((parent) =>
        addon().scanMemory({
          source,
          sizeBytes: this.#sizeBytes,
          ...(parent && { parent }),
          ...(removed && { removed }),
          outputFd,
        }),
      ),
    );
    this.#take(applyDiff(this.#header, { ...result, sizeBytes: this.#sizeBytes }, buildId));
    return result;
  }

  /** Copies all builds into one. */
  async merge(): Promise<number> {
    const buildId = this.#nextBuild();
    const { writtenBlocks } = await this.#toFile(buildId, (outputFd) =>
      this.#withMemory((memory) => {
        if (!memory) throw new Error('nothing was scanned yet');
        return addon().mergeMemory({ files: memory.files, runs: memory.runs, outputFd });
      }),
    );
    this.#take(mergedHeader(this.header, buildId));
    return writtenBlocks;
  }

  /** First block that fails its checksum, or -1. */
  async verify(): Promise<number> {
    return this.#withMemory((memory) => (memory ? addon().verifyMemory(memory) : -1));
  }

  /** The whole memory, as a reader puts it together. */
  content(): Buffer {
    const { builds, runs } = this.header;
    const bytes = Buffer.alloc(this.#sizeBytes);
    const files = builds.map((id) => openSync(this.path(id), 'r'));
    try {
      for (const { first, count, source, sourceFirst } of eachRun(runs)) {
        if (!isStored(source)) continue;
        const length = count * BLOCK_BYTES;
        const file = files[source] ?? -1;
        const got = readSync(file, bytes, first * BLOCK_BYTES, length, sourceFirst * BLOCK_BYTES);
        expect(got).to.equal(length);
      }
      return bytes;
    } finally {
      for (const file of files) closeSync(file);
    }
  }

  path(buildId: string): string {
    return join(this.#folder, `memfile.${buildId}`);
  }

  /** Id of the file that was written last, whether or not a run uses it. */
  get newestBuild(): string {
    return this.#buildId(this.#builds);
  }

  /** Bytes that the newest file takes on its disk. */
  allocatedBytes(): number {
    return statSync(this.path(this.newestBuild)).blocks * STAT_BLOCK_BYTES;
  }

  [Symbol.dispose](): void {
    for (let build = 1; build <= this.#builds; build++)
      rmSync(this.path(this.#buildId(build)), { force: true });
  }

  #take(header: MemoryHeader): void {
    const read = parseHeader(serializeHeader(header));
    expect(read).to.deep.equal(header);
    this.#header = this.#verified ? read : { ...read, checksums: new Uint32Array() };
    for (let build = 1; build < this.#builds; build++) {
      const id = this.#buildId(build);
      if (read.builds.includes(id) || this.#removed.includes(id)) continue;
      rmSync(this.path(id));
      this.#removed.push(id);
    }
  }

  #nextBuild(): string {
    this.#builds++;
    return this.newestBuild;
  }

  #buildId(number: number): string {
    return `${this.#name}${String(number).padStart(8, '0')}`;
  }

  async #toFile<Result>(buildId: string, write: (fd: number) => Promise<Result>): Promise<Result> {
    const file = openSync(this.path(buildId), 'wx');
    try {
      return await write(file);
    } finally {
      closeSync(file);
    }
  }

  async #withMemory<Result>(
    use: (memory: MappedMemory | undefined) => Result | Promise<Result>,
  ): Promise<Result> {
    const header = this.#header;
    if (!header) return await use(undefined);
    const files = header.builds.map((id) => openSync(this.path(id), 'r'));
    try {
      return await use({ files, runs: header.runs, checksums: header.checksums });
    } finally {
      for (const file of files) closeSync(file);
    }
  }
}
