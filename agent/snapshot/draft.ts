/** A generation while it is written. Nothing of it counts before a ref names it. */
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { randomId } from '../../lib/ids/random-id.js';
import {
  CHAIN_LENGTH_MAX,
  type GenerationManifest,
  LINEAGE_MAX,
  type Lineage,
} from './generation.js';
import type { DraftNeeds } from './generation-table.js';
import { applyDiff, mergedHeader } from './memory-diff.js';
import { checksumOf, depth, type MemoryHeader, serializeHeader } from './memory-header.js';
import { formatRecord, RECORD_MODE } from './records.js';
import type {
  GenerationDraft,
  Hold,
  SealFields,
  WriteMemoryRequest,
  WrittenMemory,
} from './store.js';
import type { StoreParts } from './store-parts.js';

const FOLDER_MODE = 0o700;
const HEADER_MODE = 0o400;

export class Draft implements GenerationDraft {
  readonly id: string;
  readonly #parts: StoreParts;
  readonly #needs: DraftNeeds;
  readonly #folder: string;
  /** Files of memory that were written for this generation. */
  readonly #ownBuilds: string[] = [];
  #parentHold: Hold | undefined;
  #lineage: Lineage[] = [];
  /** Those of them that are not durable yet. */
  readonly #unsealedBuilds: { path: string; isEmpty: boolean }[] = [];
  #memory: MemoryHeader | undefined;

  constructor(id: string, parts: StoreParts, needs: DraftNeeds) {
    this.id = id;
    this.#parts = parts;
    this.#needs = needs;
    this.#folder = parts.layout.generation(id);
  }

  get statePath(): string {
    return this.#parts.layout.state(this.id);
  }

  async makeFolder(): Promise<void> {
    await orDiskFull(() => this.#parts.files.makeFolder(this.#folder, FOLDER_MODE));
  }

  async writeMemory(request: WriteMemoryRequest): Promise<WrittenMemory> {
    await this.#parts.faults?.reach('snapshot.memory');
    const parent = await this.#readParent(request.parentGenerationId);
    return orDiskFull(async () => {
      const written = await this.#scan(request, parent);
      this.#memory = written.header;
      const { scannedBlocks, writtenBlocks } = written;
      return { scannedBlocks, writtenBlocks, depth: depth(written.header) };
    });
  }

  async seal({ diskBytes, ...fields }: SealFields): Promise<GenerationManifest> {
    await this.#parts.faults?.reach('snapshot.seal');
    return orDiskFull(async () => {
      if (!this.#memory) throw new Error('the memory of a generation must be written first');
      const headerCrc32c = await this.#sealMemory(this.#memory);
      await this.#parts.files.protect(this.statePath);
      await this.#parts.files.syncFile(this.statePath);
      const memoryBytes = await this.#memoryBytes();
      const entry = { id: this.id, createdAtMs: fields.createdAtMs, memoryBytes, diskBytes };
      const memory = manifestMemory(this.#memory, headerCrc32c);
      return this.#writeManifest({ ...fields, memory }, [...this.#lineage, entry]);
    });
  }

  /** Takes the content of another generation, in one file of memory where the chain is full. */
  async copyOf(source: GenerationManifest, layers: readonly string[]): Promise<void> {
    const { layout, files, reader, table } = this.#parts;
    this.#parentHold = table.hold(source.id);
    for (const layer of layers) this.#needs.layers.add(layer);
    await orDiskFull(async () => {
      const present = await reader.header(source.id);
      const header = isFull(present) ? await this.#merge(present) : present;
      const memory = manifestMemory(header, await this.#sealMemory(header));
      await files.link(layout.state(source.id), this.statePath);
      const lineage = source.lineage.slice(0, -1);
      const last = source.lineage.at(-1);
      const memoryBytes = await this.#memoryBytes();
      if (last) lineage.push({ ...last, id: this.id, memoryBytes });
      const disk = { ...source.disk, layers: [...layers] };
      await this.#writeManifest({ ...source, memory, disk }, lineage);
    });
  }

  async abandon(): Promise<void> {
    await this.#parts.abandon(this.id);
  }

  /** Lets go of what was kept for writing it. */
  releaseParent(): void {
    this.#parentHold?.release();
  }

  /** Removes all files that it has. */
  async remove(): Promise<void> {
    const { layout, files } = this.#parts;
    for (const build of this.#ownBuilds) await files.remove(layout.build(build));
    await files.remove(this.#folder);
  }

  /** The memory of the parent, held as long as this is a draft. */
  async #readParent(id: string | undefined): Promise<MemoryHeader | undefined> {
    if (id === undefined) return undefined;
    const { table, reader } = this.#parts;
    this.#parentHold?.release();
    this.#parentHold = table.hold(id);
    this.#lineage = table.manifest(id).lineage;
    const header = await reader.header(id);
    // No more files fit into a header; the parent itself could not be merged when it was written.
    return isFull(header) ? orDiskFull(() => this.#merge(header)) : header;
  }

  async #scan(
    { source, sizeBytes, removed }: WriteMemoryRequest,
    parent: MemoryHeader | undefined,
  ): Promise<{ header: MemoryHeader; scannedBlocks: number; writtenBlocks: number }> {
    const { layout, files, reader } = this.#parts;
    await using open = parent && (await reader.openBuilds(parent));
    const path = layout.build(this.id);
    this.#ownBuilds.push(this.id);
    const result = await files.scanMemory(
      { path, sizeBytes },
      {
        source,
        sizeBytes,
        ...(parent &&
          open && {
            parent: { files: open.files, runs: parent.runs, checksums: parent.checksums },
          }),
        ...(removed && { removed }),
      },
    );
    this.#unsealedBuilds.push({ path, isEmpty: result.writtenBlocks === 0 });
    const header = applyDiff(parent, { sizeBytes, ...result }, this.id);
    return { header, scannedBlocks: result.scannedBlocks, writtenBlocks: result.writtenBlocks };
  }

  /** @returns the header of one new file with all that the given one reads. */
  async #merge(header: MemoryHeader): Promise<MemoryHeader> {
    const { layout, files, reader } = this.#parts;
    await using open = await reader.openBuilds(header);
    const build = randomId();
    this.#needs.builds.add(build);
    this.#ownBuilds.push(build);
    const path = layout.build(build);
    const { sizeBytes, runs } = header;
    await files.mergeMemory({ path, sizeBytes }, { files: open.files, runs });
    this.#unsealedBuilds.push({ path, isEmpty: header.builds.length === 0 });
    return mergedHeader(header, build);
  }

  /**
   * Makes memory and header durable, which no machine needs to stand still for.
   * @returns the header's checksum.
   */
  async #sealMemory(header: MemoryHeader): Promise<number> {
    const { layout, files } = this.#parts;
    for (const { path, isEmpty } of this.#unsealedBuilds.splice(0)) {
      await (isEmpty ? files.remove(path) : this.#sealBuild(path));
    }
    const path = layout.header(this.id);
    const bytes = serializeHeader(header);
    await files.writeFile(path, bytes, HEADER_MODE);
    await files.syncFile(path);
    return checksumOf(bytes);
  }

  async #sealBuild(path: string): Promise<void> {
    await this.#parts.files.protect(path);
    await this.#parts.files.syncFile(path);
  }

  async #writeManifest(
    fields: Omit<GenerationManifest, 'id' | 'vmstate' | 'lineage'>,
    lineage: Lineage[],
  ): Promise<GenerationManifest> {
    const { layout, files, reader, table } = this.#parts;
    const manifest: GenerationManifest = {
      ...fields,
      id: this.id,
      vmstate: await reader.state(this.id),
      lineage: lineage.slice(-LINEAGE_MAX),
    };
    const path = layout.manifest(this.id);
    await files.writeFile(path, formatRecord('wrenn-generation', manifest), RECORD_MODE);
    await files.syncFile(path);
    for (const folder of [layout.memory, this.#folder, layout.generations]) {
      await files.syncFolder(folder);
    }
    table.add(manifest);
    return manifest;
  }

  #memoryBytes(): Promise<number> {
    return this.#parts.reader.allocatedBytes(this.id, this.#ownBuilds);
  }
}

function manifestMemory(
  { sizeBytes, builds }: MemoryHeader,
  headerCrc32c: number,
): GenerationManifest['memory'] {
  return { sizeBytes, builds, headerCrc32c };
}

/** Whether no other file of memory fits into the header. */
function isFull(header: MemoryHeader): boolean {
  return depth(header) >= CHAIN_LENGTH_MAX;
}

async function orDiskFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isDiskFull(error) ? hostDiskFull(error) : error;
  }
}
