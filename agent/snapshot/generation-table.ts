/** The sealed generations that are there, and who keeps each of them. */
import { readdir } from 'node:fs/promises';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import { damaged } from './damage.js';
import type { GenerationManifest } from './generation.js';
import { isGenerationId, type Layout, MANIFEST_FILE } from './layout.js';
import { readManifest } from './records.js';
import type { RefTable } from './ref-table.js';
import type { Hold } from './store.js';

/** What a draft needs although no manifest says so yet. */
export interface DraftNeeds {
  builds: Set<string>;
  layers: Set<string>;
}

export class GenerationTable {
  readonly #layout: Layout;
  readonly #refs: RefTable;
  readonly #log: Log;
  readonly #manifests = new Map<string, GenerationManifest>();
  /** Those whose manifest is there and cannot be read, with the cause. */
  readonly #unreadable = new Map<string, unknown>();
  readonly #holds = new Map<string, number>();
  readonly #drafts = new Map<string, DraftNeeds>();

  constructor(layout: Layout, refs: RefTable, log: Log) {
    this.#layout = layout;
    this.#refs = refs;
    this.#log = log;
  }

  /** Reads all manifests. A folder without one is a draft that a crash has ended. */
  async load(): Promise<void> {
    for (const id of await readdir(this.#layout.generations)) {
      if (isGenerationId(id)) await this.#load(id);
    }
    for (const id of this.#refs.reached()) {
      if (!this.has(id)) this.#log.error('generation of a ref is gone', { generation: id });
    }
  }

  has(id: string): boolean {
    return this.#manifests.has(id) || this.#unreadable.has(id);
  }

  manifest(id: string): GenerationManifest {
    const manifest = this.#manifests.get(id);
    if (manifest) return structuredClone(manifest);
    throw damaged(MANIFEST_FILE, this.#unreadable.get(id) ?? new Error('it is not there'));
  }

  add(manifest: GenerationManifest): void {
    this.#manifests.set(manifest.id, structuredClone(manifest));
  }

  /** Nobody can get hold of it any more; its files can be removed. */
  forget(id: string): void {
    this.#manifests.delete(id);
    this.#unreadable.delete(id);
  }

  hold(id: string): Hold {
    if (!this.has(id)) throw damaged(MANIFEST_FILE, new Error('it is not there'));
    this.#holds.set(id, (this.#holds.get(id) ?? 0) + 1);
    let held = true;
    return {
      generationId: id,
      release: () => {
        if (held) this.#release(id);
        held = false;
      },
    };
  }

  startDraft(id: string): DraftNeeds {
    if (this.has(id) || this.#drafts.has(id)) {
      throw new WrennError(Code.ALREADY_EXISTS, 'SNAPSHOT_EXISTS', 'there is such a generation');
    }
    const needs = { builds: new Set([id]), layers: new Set<string>() };
    this.#drafts.set(id, needs);
    return needs;
  }

  isDraft(id: string): boolean {
    return this.#drafts.has(id);
  }

  endDraft(id: string): void {
    this.#drafts.delete(id);
  }

  /** Whether a generation must stay: a ref or a hold has it, or it is being written. */
  isReached(id: string): boolean {
    return this.#drafts.has(id) || this.#holds.has(id) || this.#refs.reached().has(id);
  }

  /** Files of memory that are needed; undefined when that cannot be known. */
  builds(): ReadonlySet<string> | undefined {
    if (!this.#complete()) return undefined;
    const sealed = [...this.#manifests.values()].flatMap(({ memory }) => memory.builds);
    return new Set([
      ...sealed,
      ...[...this.#drafts.values()].flatMap((draft) => [...draft.builds]),
    ]);
  }

  /** Layers of disks that are needed; undefined when that cannot be known. */
  layers(): ReadonlySet<string> | undefined {
    if (!this.#complete()) return undefined;
    const sealed = [...this.#manifests.values()].flatMap(({ disk }) => disk.layers);
    return new Set([
      ...sealed,
      ...[...this.#drafts.values()].flatMap((draft) => [...draft.layers]),
    ]);
  }

  /** Images that machines of the generations need; undefined when that cannot be known. */
  images(): ReadonlySet<string> | undefined {
    if (!this.#complete()) return undefined;
    return new Set(
      [...this.#manifests.values()].flatMap(({ disk }) => {
        return [disk.imagePath, disk.toolsPath, disk.kernelPath, disk.initrdPath];
      }),
    );
  }

  /** Whether the manifests of all that must stay are known. */
  #complete(): boolean {
    const sealed = [...this.#refs.reached(), ...this.#holds.keys()];
    return this.#refs.complete && sealed.every((id) => this.#manifests.has(id));
  }

  #release(id: string): void {
    const holders = (this.#holds.get(id) ?? 0) - 1;
    if (holders > 0) this.#holds.set(id, holders);
    else this.#holds.delete(id);
  }

  async #load(id: string): Promise<void> {
    try {
      this.add(await readManifest(this.#layout.manifest(id), id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#unreadable.set(id, error);
      this.#log.error('manifest of a generation not readable', { generation: id, error });
    }
  }
}
