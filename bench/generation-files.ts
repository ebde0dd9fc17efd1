/** The files of a generation, as they lie in an agent's state folder. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const LAYER_FILE = 'disk.qcow2';

/** What a machine is restored from by hand. */
export interface GenerationFiles {
  id: string;
  vcpus: number;
  memoryMb: number;
  /** Files that its memory lies in; of a flat memory there is one, which shows all of it. */
  memoryPaths: string[];
  statePath: string;
  /** What the root disk of a machine lies over, and its size. */
  disk: { topPath: string; imagePath: string; toolsPath: string };
  /** Token in force in the guest; empty before it had one. */
  token: string;
}

/** The part of a manifest that is needed here. */
interface Manifest {
  id: string;
  vcpus: number;
  memoryMb: number;
  guest: { token: string };
  memory: { builds: string[] };
  disk: { imagePath: string; toolsPath: string; layers: string[] };
}

/** @throws Error when no ref of that kind, or more than one, is there. */
export async function readOnlyGeneration(
  stateDirectory: string,
  kind: 'warm' | 'snapshot',
): Promise<GenerationFiles> {
  const folder = join(stateDirectory, 'snapshots', 'refs');
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${kind}.`));
  const [name, ...others] = names;
  if (!name || others.length > 0) throw new Error(`${names.length} refs of kind ${kind}, not one`);
  return await readRef(stateDirectory, name);
}

/** The generation that a snapshot is now. */
export async function readSnapshot(
  stateDirectory: string,
  snapshotId: string,
): Promise<GenerationFiles> {
  return await readRef(stateDirectory, `snapshot.${snapshotId}.json`);
}

/** The generation that a sandbox is paused in. */
export async function readPaused(
  stateDirectory: string,
  sandboxId: string,
): Promise<GenerationFiles> {
  return await readRef(stateDirectory, `sandbox.${sandboxId}.json`);
}

async function readRef(stateDirectory: string, fileName: string): Promise<GenerationFiles> {
  const snapshots = join(stateDirectory, 'snapshots');
  const ref = (await readRecord(join(snapshots, 'refs', fileName))) as { generationId: string };
  const folder = join(snapshots, 'generations', ref.generationId);
  const manifest = (await readRecord(join(folder, 'manifest.json'))) as Manifest;
  const { id, vcpus, memoryMb, guest, memory, disk } = manifest;
  const { imagePath, toolsPath, layers } = disk;
  const top = layers.at(-1);
  const topPath = top === undefined ? imagePath : join(snapshots, 'disks', top, LAYER_FILE);
  return {
    ...{ id, vcpus, memoryMb, token: guest.token },
    memoryPaths: memory.builds.map((build) => join(snapshots, 'memory', `memfile.${build}`)),
    statePath: join(folder, 'vmstate'),
    disk: { topPath, imagePath, toolsPath },
  };
}

/** What a record file is about, without its checksum. */
async function readRecord(path: string): Promise<unknown> {
  return (JSON.parse(await readFile(path, 'utf8')) as { record: unknown }).record;
}
