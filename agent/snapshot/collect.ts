/**
 * Removes garbage: generations that nobody keeps, then files of memory that no
 * generation reads. A generation can be held no more from the moment that it is
 * found to be garbage.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileOperations } from './file-operations.js';
import { isGenerationId, LEGACY_MEMORY_FILE, parseBuildFile } from './layout.js';
import type { CollectReport } from './store.js';
import type { StoreParts } from './store-parts.js';

export async function collectGarbage(parts: StoreParts): Promise<CollectReport> {
  const report: CollectReport = { generations: [], builds: [], failed: 0 };
  if (!parts.refs.complete) {
    parts.log.error('snapshots not collected: a ref is not readable');
    return report;
  }
  await collectGenerations(parts, report);
  await collectBuilds(parts, report);
  return report;
}

async function collectGenerations(parts: StoreParts, report: CollectReport): Promise<void> {
  const { layout, table } = parts;
  const present = await readdir(layout.generations);
  const garbage = present.filter((id) => isGenerationId(id) && !table.isReached(id));
  // All at once: what one of them reads is needed by none of the others.
  for (const id of garbage) table.forget(id);
  for (const id of garbage) {
    const builds = table.builds();
    // The file of memory of a legacy generation may be read by those that came after it.
    const keepMemory = !builds || builds.has(id);
    const removed = await attempt(parts, report, { generation: id }, (files) =>
      removeGeneration(files, layout.generation(id), keepMemory),
    );
    if (removed) report.generations.push(id);
  }
}

/** @returns whether anything was there to be removed. */
async function removeGeneration(
  files: FileOperations,
  folder: string,
  keepMemory: boolean,
): Promise<boolean> {
  const names = await readdir(folder);
  if (!keepMemory || !names.includes(LEGACY_MEMORY_FILE)) {
    await files.remove(folder);
    return true;
  }
  const others = names.filter((name) => name !== LEGACY_MEMORY_FILE);
  for (const name of others) await files.remove(join(folder, name));
  return others.length > 0;
}

async function collectBuilds(parts: StoreParts, report: CollectReport): Promise<void> {
  const { layout, table, log } = parts;
  if (!table.builds()) {
    log.error('memory of snapshots not collected: a manifest is not readable');
    return;
  }
  for (const fileName of await readdir(layout.memory)) {
    const build = parseBuildFile(fileName);
    if (!build || table.builds()?.has(build) !== false) continue;
    const removed = await attempt(parts, report, { build }, async (files) => {
      await files.remove(layout.build(build));
      return true;
    });
    if (removed) report.builds.push(build);
  }
}

async function attempt(
  { files, log }: StoreParts,
  report: CollectReport,
  fields: Record<string, string>,
  remove: (files: FileOperations) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await remove(files);
  } catch (error) {
    report.failed += 1;
    log.error('garbage of snapshots not removed', { ...fields, error });
    return false;
  }
}
