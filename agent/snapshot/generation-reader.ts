/** Reads the files of sealed generations, in the present and the legacy format. */
import { access, type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { addon } from '../../native/addon/binding.js';
import { damaged, reading } from './damage.js';
import type { GenerationManifest } from './generation.js';
import {
  HEADER_FILE,
  type Layout,
  LEGACY_MEMORY_FILE,
  MANIFEST_FILE,
  STATE_FILE,
} from './layout.js';
import { legacyHeader } from './memory-diff.js';
import {
  checksumOf,
  HEADER_BYTES_MAX,
  HeaderError,
  type MemoryHeader,
  parseHeader,
} from './memory-header.js';
import { readManifest } from './records.js';

/** What stat counts in, whatever the file system's own block size. */
const STAT_BLOCK_BYTES = 512;

/** A file of memory, and what a damage report calls it. */
export interface Build {
  id: string;
  path: string;
  artifact: string;
}

/** The files that a memory lies in, open. */
export interface OpenBuilds extends AsyncDisposable {
  /** Descriptors in the order of the header's builds. */
  files: number[];
  builds: Build[];
}

export class GenerationReader {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  manifest(id: string): Promise<GenerationManifest> {
    return reading(MANIFEST_FILE, () => readManifest(this.#layout.manifest(id), id));
  }

  async header(id: string): Promise<MemoryHeader> {
    const { memory } = await this.manifest(id);
    const { path, format } = await this.#findMemory(id);
    if (format === 'legacy') return legacyMemory(id, path, memory.sizeBytes);
    return reading(HEADER_FILE, async () => {
      if ((await stat(path)).size > HEADER_BYTES_MAX) throw new HeaderError('it is too long');
      const bytes = await readFile(path);
      const header = parseHeader(bytes);
      if (checksumOf(bytes) === memory.headerCrc32c) return header;
      throw new HeaderError('it is that of another generation');
    });
  }

  /** The files of a header, in its order. */
  builds(header: MemoryHeader): Promise<Build[]> {
    return Promise.all(header.builds.map((id) => this.#findBuild(id)));
  }

  /** Opens the files of a header, each of which must be as long as the memory. */
  async openBuilds(header: MemoryHeader): Promise<OpenBuilds> {
    const builds = await this.builds(header);
    const handles: FileHandle[] = [];
    const close = async () => {
      for (const handle of handles.splice(0)) await handle.close();
    };
    try {
      for (const { path, artifact } of builds) {
        await reading(artifact, async () => {
          const file = await open(path, 'r');
          handles.push(file);
          const { size } = await file.stat();
          if (size !== header.sizeBytes) throw new Error(`${size} bytes long`);
        });
      }
    } catch (error) {
      await close();
      throw error;
    }
    return { builds, files: handles.map(({ fd }) => fd), [Symbol.asyncDispose]: close };
  }

  /** Where the first build of a header lies, and what tells this file from every other one. */
  async identify(header: MemoryHeader): Promise<{ path: string; identity: string }> {
    const [build] = await this.builds(header);
    if (!build) throw new Error('a memory without files has none to identify');
    return reading(build.artifact, async () => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(build.path, { bigint: true });
      return { path: build.path, identity: [dev, ino, size, mtimeNs, ctimeNs].join('.') };
    });
  }

  /** @returns its size and checksum. */
  async state(id: string): Promise<{ sizeBytes: number; crc32c: number }> {
    return reading(STATE_FILE, async () => {
      const file = await open(this.#layout.state(id), 'r');
      try {
        const { size } = await file.stat();
        return { sizeBytes: size, crc32c: await addon().crc32cFile(file.fd) };
      } finally {
        await file.close();
      }
    });
  }

  /** Bytes on the host of what a generation reads, or of the files of its own alone. */
  async allocatedBytes(id: string, builds: readonly string[]): Promise<number> {
    const layout = this.#layout;
    const memory = builds.flatMap((build) => [layout.build(build), layout.legacyBuild(build)]);
    const sizes = await Promise.all(
      [layout.header(id), layout.state(id), ...memory].map(allocated),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** The one place that tells a generation with header from one with a plain memory file. */
  async #findMemory(id: string): Promise<{ path: string; format: 'header' | 'legacy' }> {
    const [path, legacy] = [this.#layout.header(id), this.#layout.legacyBuild(id)];
    if (await exists(path)) return { path, format: 'header' };
    if (await exists(legacy)) return { path: legacy, format: 'legacy' };
    throw damaged(HEADER_FILE, new Error('it is not there'));
  }

  async #findBuild(id: string): Promise<Build> {
    const [path, legacy] = [this.#layout.build(id), this.#layout.legacyBuild(id)];
    const artifact = `${LEGACY_MEMORY_FILE}.${id}`;
    if (await exists(path)) return { id, path, artifact };
    if (await exists(legacy)) return { id, path: legacy, artifact: LEGACY_MEMORY_FILE };
    throw damaged(artifact, new Error('it is not there'));
  }
}

/** The header that a plain memory file would have. */
function legacyMemory(id: string, path: string, sizeBytes: number): Promise<MemoryHeader> {
  return reading(LEGACY_MEMORY_FILE, async () => {
    const { size } = await stat(path);
    if (size !== sizeBytes) throw new Error(`${size} bytes long`);
    return legacyHeader(sizeBytes, id, [{ offset: 0, sizeBytes }]);
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** A file that is not there takes nothing. */
async function allocated(path: string): Promise<number> {
  try {
    return (await stat(path)).blocks * STAT_BLOCK_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
