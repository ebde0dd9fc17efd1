/** The refs, on disk and in memory, and which generations they reach. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { randomId } from '../../lib/ids/random-id.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import type { Log } from '../../lib/log/log.js';
import { damaged } from './damage.js';
import type { FileOperations } from './file-operations.js';
import type { Ref, RefKind } from './generation.js';
import { type Layout, parseRefFile } from './layout.js';
import { formatRecord, RECORD_MODE, readRef } from './records.js';

export class RefTable {
  readonly #layout: Layout;
  readonly #files: FileOperations;
  readonly #log: Log;
  readonly #lock = new KeyedLock();
  /** All by the path of their file. */
  readonly #refs = new Map<string, Ref>();
  readonly #unreadable = new Map<string, unknown>();
  /**
   * Generations that a ref may name on disk although it does not in memory: its
   * write failed in a way that a crash could show either.
   */
  readonly #doubtful = new Map<string, Set<string>>();

  constructor(layout: Layout, files: FileOperations, log: Log) {
    this.#layout = layout;
    this.#files = files;
    this.#log = log;
  }

  /** Reads all refs, and drops what a crash left of unfinished writes. */
  async load(): Promise<void> {
    for (const fileName of await readdir(this.#layout.refs)) {
      const path = join(this.#layout.refs, fileName);
      if (fileName.endsWith('.tmp')) await this.#files.remove(path);
      else await this.#load(path, fileName);
    }
  }

  /** Whether all refs are known. While they are not, any generation may be needed. */
  get complete(): boolean {
    return this.#unreadable.size === 0;
  }

  get(kind: RefKind, name: string): Ref | undefined {
    const path = this.#layout.ref(kind, name);
    const cause = this.#unreadable.get(path);
    if (cause) throw damaged(basename(path), cause);
    return structuredClone(this.#refs.get(path));
  }

  list(kind?: RefKind): Ref[] {
    const refs = [...this.#refs.values()];
    return structuredClone(kind ? refs.filter((ref) => ref.kind === kind) : refs);
  }

  /** Generations that are named, or may be. */
  reached(): Set<string> {
    const named = [...this.#refs.values()].map(({ generationId }) => generationId);
    return new Set([...named, ...[...this.#doubtful.values()].flatMap((ids) => [...ids])]);
  }

  async set(ref: Ref): Promise<void> {
    const path = this.#layout.ref(ref.kind, ref.name);
    const copy = structuredClone(ref);
    await this.#lock.run(path, async () => {
      const doubtsBefore = this.#doubtful.get(path);
      this.#doubtful.set(path, new Set(doubtsBefore).add(copy.generationId));
      const progress = { renamed: false };
      try {
        await this.#write(path, copy, progress);
      } catch (error) {
        if (progress.renamed) await this.#putBack(path);
        else this.#setDoubts(path, doubtsBefore);
        throw error;
      }
      this.#refs.set(path, copy);
      this.#unreadable.delete(path);
      this.#doubtful.delete(path);
    });
  }

  async remove(kind: RefKind, name: string): Promise<void> {
    const path = this.#layout.ref(kind, name);
    await this.#lock.run(path, async () => {
      await this.#files.remove(path);
      await this.#files.syncFolder(this.#layout.refs);
      this.#refs.delete(path);
      this.#unreadable.delete(path);
      this.#doubtful.delete(path);
    });
  }

  async #load(path: string, fileName: string): Promise<void> {
    try {
      const named = parseRefFile(fileName);
      if (!named) throw new Error('not the name of a ref');
      const ref = await readRef(path);
      if (ref.kind !== named.kind || ref.name !== named.name)
        throw new Error('it has another name');
      this.#refs.set(path, ref);
    } catch (error) {
      this.#unreadable.set(path, error);
      this.#log.error('ref of a snapshot not readable, nothing will be collected', { path, error });
    }
  }

  async #write(path: string, ref: Ref, progress: { renamed: boolean }): Promise<void> {
    const temporary = `${path}.${randomId()}.tmp`;
    try {
      await this.#files.writeFile(temporary, formatRecord('wrenn-ref', ref), RECORD_MODE);
      await this.#files.syncFile(temporary);
      await this.#files.rename(temporary, path);
    } catch (error) {
      await this.#files.remove(temporary).catch(() => undefined);
      throw error;
    }
    progress.renamed = true;
    await this.#files.syncFolder(this.#layout.refs);
  }

  /** Puts back what a failed write has replaced; else it stays open which one a crash shows. */
  async #putBack(path: string): Promise<void> {
    const before = this.#refs.get(path);
    try {
      if (this.#unreadable.has(path)) return;
      if (before) await this.#write(path, before, { renamed: false });
      else {
        await this.#files.remove(path);
        await this.#files.syncFolder(this.#layout.refs);
      }
      this.#doubtful.delete(path);
    } catch (error) {
      this.#log.error('ref of a snapshot not put back', { path, error });
    }
  }

  #setDoubts(path: string, ids: Set<string> | undefined): void {
    if (ids) this.#doubtful.set(path, ids);
    else this.#doubtful.delete(path);
  }
}
