/** Finds out whether a generation is whole: cheaply before a resume, or to the last byte. */
import { addon } from '../../native/addon/binding.js';
import { damaged } from './damage.js';
import type { GenerationManifest } from './generation.js';
import type { GenerationReader } from './generation-reader.js';
import { HEADER_FILE, MANIFEST_FILE, STATE_FILE } from './layout.js';
import { BLOCK_BYTES, isFlat, type MemoryHeader } from './memory-header.js';
import { eachRun, isStored, storedBlocks } from './memory-map.js';
import type { VerifyReport } from './store.js';

/**
 * Files of memory that this process has read and found right: as long as one is the same file, it
 * is not read again for every machine that is restored from it.
 */
export type VerifiedFiles = Map<string, string>;

/**
 * What a restore relies on. A page server checks each block that it serves; memory that a VMM maps
 * as it is has nobody who does, so all of it is read here, once.
 * @throws WrennError SNAPSHOT_DAMAGED with the first artifact that is not as it should be.
 */
export async function checkGeneration(
  reader: GenerationReader,
  id: string,
  verified: VerifiedFiles,
): Promise<void> {
  const { header } = await inspect(reader, id);
  if (!isFlat(header) || header.builds.length === 0) return;
  const { path, identity } = await reader.identify(header);
  if (verified.get(path) === identity) return;
  await verifyMemory(reader, header);
  verified.set(path, identity);
}

/** The same, and reads every block of memory. */
export async function verifyGeneration(
  reader: GenerationReader,
  id: string,
): Promise<VerifyReport> {
  const { manifest, header } = await inspect(reader, id);
  const memoryBytes = await verifyMemory(reader, header);
  return { verifiedBytes: memoryBytes + manifest.vmstate.sizeBytes };
}

async function inspect(
  reader: GenerationReader,
  id: string,
): Promise<{ manifest: GenerationManifest; header: MemoryHeader }> {
  const manifest = await reader.manifest(id);
  const header = await reader.header(id);
  requireSame(manifest, header);
  await using _builds = await reader.openBuilds(header);
  const { sizeBytes, crc32c } = await reader.state(id);
  if (sizeBytes !== manifest.vmstate.sizeBytes || crc32c !== manifest.vmstate.crc32c) {
    throw damaged(STATE_FILE, new Error('its size or checksum differs'));
  }
  return { manifest, header };
}

/** Two files that are right by themselves may still be those of two generations. */
function requireSame({ memory }: GenerationManifest, header: MemoryHeader): void {
  if (memory.sizeBytes !== header.sizeBytes) {
    throw damaged(HEADER_FILE, new Error('it is that of a memory of another size'));
  }
  if (!header.builds.every((build) => memory.builds.includes(build))) {
    throw damaged(MANIFEST_FILE, new Error('it lacks a file of memory'));
  }
}

/** @returns the bytes that were read. A memory without checksums cannot be verified. */
async function verifyMemory(reader: GenerationReader, header: MemoryHeader): Promise<number> {
  const { runs, checksums } = header;
  if (checksums.length === 0) return 0;
  await using open = await reader.openBuilds(header);
  const wrong = await addon().verifyMemory({ files: open.files, runs, checksums });
  if (wrong < 0) return storedBlocks(runs) * BLOCK_BYTES;
  const artifact = open.builds[sourceOf(runs, wrong)]?.artifact ?? HEADER_FILE;
  throw damaged(artifact, new Error(`block ${wrong} of the memory fails its checksum`));
}

function sourceOf(runs: Uint32Array, block: number): number {
  for (const { first, count, source } of eachRun(runs)) {
    if (isStored(source) && block >= first && block < first + count) return source;
  }
  return -1;
}
