/**
 * A store of generations in a folder of the test, and a machine of which it
 * keeps some: memory that is a sparse file, as a VMM's is, and device state.
 */
import { cp, type FileHandle, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GenerationManifest, RefKind } from '../../agent/snapshot/generation.js';
import { type OpenStoreOptions, openSnapshotStore } from '../../agent/snapshot/open-store.js';
import type { SnapshotStore } from '../../agent/snapshot/store.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { RUN_FIELDS, SOURCE_ZERO } from '../../native/addon/binding.js';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.js';

export const BLOCK_BYTES = 4096;
export const MEMORY_BLOCKS = 24;
export const MACHINE = {
  driver: 'fake',
  accelerator: 'none',
  vmmVersion: '1',
  cpuModel: 'fake',
  deviceLayout: '1',
};

/** The memory of a machine: what it holds, and what was touched since its restore. */
export class TestMemory {
  readonly content = Buffer.alloc(MEMORY_BLOCKS * BLOCK_BYTES);
  readonly #touched = new Set<number>();

  write(block: number, text: string): this {
    this.content.fill(0, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    this.content.write(text, block * BLOCK_BYTES);
    this.#touched.add(block);
    return this;
  }

  /** The memory as a file in which only what was touched is no hole. */
  async open(directory: string): Promise<FileHandle> {
    const path = join(directory, `memory.${randomId()}`);
    const file = await open(path, 'wx+');
    await file.truncate(this.content.length);
    for (const block of this.#touched) {
      const at = block * BLOCK_BYTES;
      await file.write(this.content, at, BLOCK_BYTES, at);
    }
    await rm(path);
    return file;
  }
}

export interface GenerationPlan {
  id?: string;
  parent?: string;
  layers?: string[];
  state?: string;
}

export class Generations implements AsyncDisposable {
  readonly folder: string;
  readonly memory = new TestMemory();
  readonly #directory: TemporaryDirectory;
  store: SnapshotStore;

  private constructor(directory: TemporaryDirectory, folder: string, store: SnapshotStore) {
    this.#directory = directory;
    this.folder = folder;
    this.store = store;
  }

  static async create(): Promise<Generations> {
    const directory = await temporaryDirectory();
    const folder = join(directory.path, 'snapshots');
    return new Generations(directory, folder, await openSnapshotStore(folder, { log: silentLog }));
  }

  /** Another store with the same generations, and a machine of its own. */
  async copy(): Promise<Generations> {
    const directory = await temporaryDirectory();
    const folder = join(directory.path, 'snapshots');
    await cp(this.folder, folder, { recursive: true });
    const copy = new Generations(
      directory,
      folder,
      await openSnapshotStore(folder, { log: silentLog }),
    );
    this.memory.content.copy(copy.memory.content);
    return copy;
  }

  /** Opens the store anew, as an agent does that was started again. */
  async reopen(options: Partial<OpenStoreOptions> = {}): Promise<SnapshotStore> {
    this.store = await openSnapshotStore(this.folder, { log: silentLog, ...options });
    return this.store;
  }

  /** Writes a generation of the machine; gives up what it began when that fails. */
  async write(plan: GenerationPlan = {}): Promise<GenerationManifest> {
    const draft = await this.store.begin(plan.id ?? randomId());
    try {
      await writeFile(draft.statePath, plan.state ?? `device state of ${draft.id}`, { flag: 'wx' });
      await using file = await this.memory.open(this.#directory.path);
      await draft.writeMemory({
        source: { kind: 'memfd', fd: file.fd },
        sizeBytes: this.memory.content.length,
        parentGenerationId: plan.parent,
      });
      return await draft.seal({
        createdAtMs: 1,
        template: 'minimal',
        vcpus: 1,
        memoryMb: 1,
        machine: MACHINE,
        guest: { envdVersion: '1', token: 'token' },
        disk: {
          imagePath: '/images/minimal',
          toolsPath: '/images/tools',
          kernelPath: '/images/kernel',
          initrdPath: '/images/initrd',
          layers: plan.layers ?? [],
        },
        diskBytes: 512,
      });
    } catch (error) {
      await draft.abandon().catch(() => undefined);
      throw error;
    }
  }

  /** The same, named by a ref as a pause does. */
  async commit(plan: GenerationPlan & { name?: string; kind?: RefKind } = {}): Promise<string> {
    const { id } = await this.write(plan);
    try {
      await this.setRef(id, plan);
    } catch (error) {
      await this.store.abandon(id).catch(() => undefined);
      throw error;
    }
    return id;
  }

  async setRef(
    generationId: string,
    { kind = 'sandbox', name = 'sandbox0' }: { kind?: RefKind; name?: string } = {},
  ): Promise<void> {
    const details = { owner: 'test' };
    await this.store.setRef({
      ...{ kind, name, generationId, phase: 'paused' },
      ...{ updatedAtMs: 1, details },
    });
  }

  /** A chain of generations, each with one more layer or with these, of which the last one is named. */
  async commitChain(length: number, sameLayers?: string[]): Promise<string[]> {
    const ids: string[] = [];
    for (let number = 0; number < length; number += 1) {
      this.memory
        .write(number % MEMORY_BLOCKS, `generation ${number}`)
        .write(MEMORY_BLOCKS - 1, `now ${number}`);
      const layers =
        sameLayers ?? Array.from({ length: number + 1 }, (_, layer) => `layer00${layer}`);
      const parent = ids.at(-1);
      ids.push(await this.commit({ layers, ...(parent && { parent }) }));
    }
    return ids;
  }

  /** The memory that a machine would see. */
  async read(generationId: string): Promise<Buffer> {
    const { sizeBytes, paths, runs } = await this.store.memoryFiles(generationId);
    const memory = Buffer.alloc(sizeBytes);
    for (let at = 0; at < runs.length; at += RUN_FIELDS) {
      const [first = 0, count = 0, source = 0, sourceFirst = 0] = runs.subarray(
        at,
        at + RUN_FIELDS,
      );
      if (source === SOURCE_ZERO) continue;
      await using file = await open(paths[source] ?? '');
      const [offset, length] = [first * BLOCK_BYTES, count * BLOCK_BYTES];
      await file.read(memory, offset, length, sourceFirst * BLOCK_BYTES);
    }
    return memory;
  }

  /** Names of what lies in the folders of refs, generations and memory. */
  async present(): Promise<{ refs: string[]; generations: string[]; builds: string[] }> {
    const list = async (name: string) => (await readdir(join(this.folder, name))).sort();
    const builds = (await list('memory')).map((name) => name.slice('memfile.'.length));
    return { refs: await list('refs'), generations: await list('generations'), builds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory.remove();
  }
}
