/**
 * What agents keep in their folders of snapshots, except for what a warm
 * template needs: those stay until others take their place.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readKeptGenerations } from '../kept-generations.js';
import type { ScopeFilter } from './scope.js';

const SNAPSHOTS_FOLDER = 'snapshots';
/** Folders between one of the scope and that of the snapshots. */
const DEPTH_MAX = 3;

export async function refs(scope: ScopeFilter): Promise<string[]> {
  const kept = await keptIn(scope);
  return kept.flatMap(({ refs }) =>
    refs.filter(({ kind }) => kind !== 'warm').map(({ kind, name }) => `${kind} ${name}`),
  );
}

export async function generations(scope: ScopeFilter): Promise<string[]> {
  const kept = await keptIn(scope);
  return kept.flatMap(({ generations, warm }) =>
    generations.filter((id) => !warm.some((manifest) => manifest.id === id)),
  );
}

export async function memoryBuilds(scope: ScopeFilter): Promise<string[]> {
  const kept = await keptIn(scope);
  return kept.flatMap(({ builds, warm }) =>
    builds.filter((build) => !warm.some(({ memory }) => memory.builds.includes(build))),
  );
}

export async function diskLayers(scope: ScopeFilter): Promise<string[]> {
  const kept = await keptIn(scope);
  return kept.flatMap(({ layers, warm }) =>
    layers.filter((layer) => !warm.some(({ disk }) => disk.layers.includes(layer))),
  );
}

async function keptIn(scope: ScopeFilter) {
  const folders = (
    await Promise.all(scope.directories.map((path) => snapshotFolders(path)))
  ).flat();
  return Promise.all(
    folders.map(async (folder) => {
      const kept = await readKeptGenerations(folder);
      const warmIds = kept.refs
        .filter(({ kind }) => kind === 'warm')
        .map(({ generationId }) => generationId);
      return { ...kept, warm: kept.manifests.filter(({ id }) => warmIds.includes(id)) };
    }),
  );
}

async function snapshotFolders(folder: string, depth = 0): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries.filter((candidate) => candidate.isDirectory())) {
    const path = join(folder, entry.name);
    if (entry.name === SNAPSHOTS_FOLDER) found.push(path);
    else if (depth < DEPTH_MAX) found.push(...(await snapshotFolders(path, depth + 1)));
  }
  return found;
}
