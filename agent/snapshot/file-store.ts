/** The store in a folder of this host. */
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { randomId } from '../../lib/ids/random-id.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import { collectGarbage } from './collect.js';
import { Draft } from './draft.js';
import { CHAIN_LENGTH_MAX, type GenerationManifest, type Ref, type RefKind } from './generation.js';
import { checkGeneration, type VerifiedFiles, verifyGeneration } from './inspect.js';
import type {
  CollectReport,
  GenerationDraft,
  GenerationMemory,
  Hold,
  SnapshotStore,
  VerifyReport,
} from './store.js';
import type { StoreParts } from './store-parts.js';
import { keepWorkingSet, loadWorkingSet } from './working-set.js';

/** A consolidation moves as much as the memory has; giving it up is not faster than that. */
const ABANDON_TIMEOUT_MS = 120_000;

export class FileStore implements SnapshotStore {
  readonly #parts: StoreParts;
  readonly #drafts = new Map<string, Draft>();
  readonly #lock = new KeyedLock();
  readonly #verified: VerifiedFiles = new Map();

  constructor(parts: Omit<StoreParts, 'abandon'>) {
    this.#parts = { ...parts, abandon: (id) => this.abandon(id) };
  }

  get folder(): string {
    return this.#parts.layout.folder;
  }

  get disksFolder(): string {
    return this.#parts.layout.disks;
  }

  ref(kind: RefKind, name: string): Ref | undefined {
    return this.#parts.refs.get(kind, name);
  }

  refs(kind?: RefKind): Ref[] {
    return this.#parts.refs.list(kind);
  }

  async setRef(ref: Ref): Promise<void> {
    const { table, refs, faults } = this.#parts;
    // Held meanwhile: a generation that is about to be named is no garbage.
    const hold = table.hold(ref.generationId);
    try {
      await faults?.reach('snapshot.ref');
      await refs.set(ref);
      this.#endDraft(ref.generationId);
    } catch (error) {
      throw isDiskFull(error) ? hostDiskFull(error) : error;
    } finally {
      hold.release();
    }
  }

  removeRef(kind: RefKind, name: string): Promise<void> {
    return this.#parts.refs.remove(kind, name);
  }

  has(generationId: string): boolean {
    return this.#parts.table.has(generationId);
  }

  manifest(generationId: string): GenerationManifest {
    return this.#parts.table.manifest(generationId);
  }

  async memoryFiles(generationId: string): Promise<GenerationMemory> {
    const { reader } = this.#parts;
    const header = await reader.header(generationId);
    const builds = await reader.builds(header);
    const { sizeBytes, runs, checksums } = header;
    return { sizeBytes, paths: builds.map(({ path }) => path), runs, checksums };
  }

  workingSet(generationId: string): Promise<Uint32Array | undefined> {
    return loadWorkingSet(this.#parts, generationId);
  }

  saveWorkingSet(generationId: string, runs: Uint32Array): Promise<void> {
    return keepWorkingSet(this.#parts, generationId, runs);
  }

  statePath(generationId: string): string {
    return this.#parts.layout.state(generationId);
  }

  async sizeBytes(generationId: string): Promise<number> {
    const { table, reader } = this.#parts;
    return reader.allocatedBytes(generationId, table.manifest(generationId).memory.builds);
  }

  async begin(generationId: string): Promise<GenerationDraft> {
    const draft = this.#startDraft(generationId);
    try {
      await this.#parts.faults?.reach('snapshot.begin');
      await draft.makeFolder();
    } catch (error) {
      this.#endDraft(generationId);
      throw error;
    }
    return draft;
  }

  async abandon(generationId: string): Promise<void> {
    const draft = this.#drafts.get(generationId);
    if (!draft) return;
    const { table } = this.#parts;
    this.#endDraft(generationId);
    if (table.isReached(generationId)) return;
    table.forget(generationId);
    await draft.remove();
  }

  hold(generationId: string): Hold {
    return this.#parts.table.hold(generationId);
  }

  /** One after the other: two would report the same removals. */
  collect(): Promise<CollectReport> {
    return this.#lock.run('collect', async () => {
      await this.#parts.faults?.reach('snapshot.collect');
      return collectGarbage(this.#parts);
    });
  }

  layers(): ReadonlySet<string> | undefined {
    return this.#parts.table.layers();
  }

  images(): ReadonlySet<string> | undefined {
    return this.#parts.table.images();
  }

  async consolidate(
    generationId: string,
    mergeDisk: (imagePath: string, layers: readonly string[]) => Promise<string>,
  ): Promise<string> {
    const { table, log, faults } = this.#parts;
    const source = table.manifest(generationId);
    const { memory, disk } = source;
    const mergesDisk = disk.layers.length >= CHAIN_LENGTH_MAX;
    if (memory.builds.length < CHAIN_LENGTH_MAX && !mergesDisk) return generationId;

    const hold = table.hold(generationId);
    const report = (step: string, error: unknown) => {
      log.error('undo failed', { generation: generationId, step, error });
    };
    await using rollback = new Rollback(report, ABANDON_TIMEOUT_MS);
    try {
      await faults?.reach('snapshot.consolidate');
      const id = randomId();
      const draft = this.#startDraft(id);
      rollback.defer('consolidated generation', () => this.abandon(id));
      await draft.makeFolder();
      const layers = mergesDisk ? [await mergeDisk(disk.imagePath, disk.layers)] : disk.layers;
      await draft.copyOf(source, layers);
      rollback.commit();
      return id;
    } finally {
      hold.release();
    }
  }

  async check(generationId: string): Promise<void> {
    const hold = this.#parts.table.hold(generationId);
    try {
      await checkGeneration(this.#parts.reader, generationId, this.#verified);
    } finally {
      hold.release();
    }
  }

  async verify(generationId: string): Promise<VerifyReport> {
    const hold = this.#parts.table.hold(generationId);
    try {
      return await verifyGeneration(this.#parts.reader, generationId);
    } finally {
      hold.release();
    }
  }

  #startDraft(id: string): Draft {
    const needs = this.#parts.table.startDraft(id);
    const draft = new Draft(id, this.#parts, needs);
    this.#drafts.set(id, draft);
    return draft;
  }

  #endDraft(id: string): void {
    this.#drafts.get(id)?.releaseParent();
    this.#drafts.delete(id);
    this.#parts.table.endDraft(id);
  }
}
