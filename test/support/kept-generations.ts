/** What an agent keeps in its folder of snapshots, read from the disk without asking it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GenerationManifest, Ref } from '../../agent/snapshot/generation.js';

const BUILD_PREFIX = 'memfile.';

export interface KeptGenerations {
  refs: Ref[];
  manifests: GenerationManifest[];
  /** Ids of the folders of generations, those without a manifest too. */
  generations: string[];
  /** Ids of the files of memory. */
  builds: string[];
  /** Ids of the disk layers. */
  layers: string[];
}

/** @param folder the folder of snapshots. */
export async function readKeptGenerations(folder: string): Promise<KeptGenerations> {
  const generations = await names(join(folder, 'generations'));
  const manifests = generations.map((id) =>
    readRecord<GenerationManifest>(join(folder, 'generations', id, 'manifest.json')),
  );
  const refs = (await names(join(folder, 'refs'))).map((name) =>
    readRecord<Ref>(join(folder, 'refs', name)),
  );
  return {
    refs: present(await Promise.all(refs)),
    manifests: present(await Promise.all(manifests)),
    generations,
    builds: (await names(join(folder, 'memory'))).map((name) => name.replace(BUILD_PREFIX, '')),
    layers: await names(join(folder, 'disks')),
  };
}

/** The generation from which a sandbox that is paused, or was, comes back. @throws Error without one. */
export async function newestGeneration(
  folder: string,
  sandboxId: string,
): Promise<GenerationManifest> {
  const { refs, manifests } = await readKeptGenerations(folder);
  const ref = refs.find(({ kind, name }) => kind === 'sandbox' && name === sandboxId);
  const manifest = manifests.find(({ id }) => id === ref?.generationId);
  if (!manifest) throw new Error(`nothing is kept of ${sandboxId}`);
  return manifest;
}

/** The path of a file of memory. */
export function buildPath(folder: string, build: string): string {
  return join(folder, 'memory', `${BUILD_PREFIX}${build}`);
}

/** Files that come and go while they are listed are no refs or manifests. */
async function readRecord<T>(path: string): Promise<T | undefined> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { record: T }).record;
  } catch {
    return undefined;
  }
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined) as T[];
}
