/**
 * Who this installation is. The instance id stands in the name of everything
 * that it makes on the host, so that two installations on one machine tell
 * their namespaces, links and processes apart; it is made once and kept.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { randomId } from '../lib/ids/random-id.js';

/** Link names have at most 15 characters, so the id is short. */
const INSTANCE_ID_LENGTH = 5;
const FILE_NAME = 'instance.json';

export interface Instance {
  instanceId: string;
  hostId: string;
  /** IPv4 range of the links to the guests; absent until one has been chosen. */
  networkCidr?: string;
}

/** Reads the instance of a state folder, or makes it. */
export async function loadInstance(stateDirectory: string): Promise<Instance> {
  await mkdir(stateDirectory, { recursive: true, mode: 0o755 });
  try {
    return JSON.parse(await readFile(join(stateDirectory, FILE_NAME), 'utf8')) as Instance;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const instance = { instanceId: randomId(INSTANCE_ID_LENGTH), hostId: randomId() };
  await saveInstance(stateDirectory, instance);
  return instance;
}

export async function saveInstance(stateDirectory: string, instance: Instance): Promise<void> {
  await writeFileAtomic(
    join(stateDirectory, FILE_NAME),
    `${JSON.stringify(instance, null, 2)}\n`,
    0o644,
  );
}
