/** Turns a generation into the format that has one plain memory file and no header. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GenerationManifest } from '../../agent/snapshot/generation.js';
import { formatRecord } from '../../agent/snapshot/records.js';

/** @param manifest of a generation with one build, which is its own. */
export async function makeLegacy(
  snapshotsFolder: string,
  manifest: GenerationManifest,
): Promise<void> {
  const { id, memory } = manifest;
  const folder = join(snapshotsFolder, 'generations', id);
  await rename(join(snapshotsFolder, 'memory', `memfile.${id}`), join(folder, 'memfile'));
  await rm(join(folder, 'memfile.header'));
  const legacy = { ...manifest, memory: { sizeBytes: memory.sizeBytes, builds: [id] } };
  await writeFile(join(folder, 'manifest.json'), formatRecord('wrenn-generation', legacy));
}
