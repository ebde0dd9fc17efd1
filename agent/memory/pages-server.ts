/** Memory that a page server brings to the VMM, block by block. */
import type { NativePageServer, PageServerEnd } from '../../native/addon/binding.js';
import type { MemoryBackend, MemoryFailure, MemoryRecord, ServedMemory } from './provider.js';
import { readRemovedBlocks } from './removed-blocks.js';
import { damagedBlock } from './unavailable.js';
import { joinWorkingSets } from './working-set.js';

export interface PagesServerOptions {
  native: NativePageServer;
  paths: readonly string[];
  socketPath: string;
  record: MemoryRecord;
  onRecord: (record: MemoryRecord) => Promise<void>;
  /** What the server was told to bring in advance. */
  replayed?: Uint32Array | undefined;
}

export class PagesServer implements ServedMemory {
  readonly backend: MemoryBackend;
  readonly ready: Promise<void>;
  readonly failed: Promise<MemoryFailure | undefined>;
  readonly #native: NativePageServer;
  readonly #replayed: Uint32Array;
  #record: MemoryRecord;
  #closed = false;
  /** Why it was closed though nobody asked. */
  #recordError: unknown;

  constructor(options: PagesServerOptions) {
    const { native, paths, socketPath, record, onRecord, replayed } = options;
    this.#native = native;
    this.#record = record;
    this.#replayed = replayed ?? new Uint32Array();
    this.backend = { kind: 'pages', socketPath };
    this.ready = this.#begin(onRecord);
    // Who does not wait for it learns of a failure from `failed`.
    this.ready.catch(() => undefined);
    this.failed = native.ended.then((end) => this.#failure(end, paths));
  }

  get record(): MemoryRecord {
    return this.#record;
  }

  async removed(): Promise<Uint8Array | undefined> {
    const bits = await readRemovedBlocks(this.#record.removedPath);
    return bits.some((byte) => byte !== 0) ? bits : undefined;
  }

  statistics(): Record<string, number> {
    return { ...this.#native.statistics() };
  }

  workingSet(): Uint32Array | undefined {
    if (this.#closed) return undefined;
    const joined = joinWorkingSets(this.#native.workingSet(), this.#replayed);
    return joined.length > 0 ? joined : undefined;
  }

  stopRecording(): void {
    this.#native.stopRecording();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#native.close();
  }

  /** Serves from the moment on when an agent that is started anew could go on. */
  async #begin(onRecord: (record: MemoryRecord) => Promise<void>): Promise<void> {
    const { regions } = await this.#native.handshake;
    this.#record = {
      ...this.#record,
      regions: regions.map((region) => ({ ...region, address: String(region.address) })),
    };
    try {
      await onRecord(this.#record);
    } catch (error) {
      this.#recordError = error;
      await this.#native.close();
      throw error;
    }
    this.#native.serve();
  }

  #failure(end: PageServerEnd, paths: readonly string[]): MemoryFailure | undefined {
    if (end.kind === 'failed') return { kind: 'failed', message: end.message };
    if (end.kind === 'damaged') return damagedBlock(paths[end.file] ?? '', end.block);
    if (this.#recordError === undefined) return undefined;
    return { kind: 'failed', message: 'the record of the memory could not be kept' };
  }
}
