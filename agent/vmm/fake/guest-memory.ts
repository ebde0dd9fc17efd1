/** How the state of a fake guest lies in its memory: an entry for each file, and one for the rest. */
import type { MemoryImage } from './memory-image.js';

const REST = 'rest';
const FILE_PREFIX = 'file:';

interface GuestState {
  files: Record<string, string>;
}

/** @param state as the guest exports it. */
export async function writeGuest(memory: MemoryImage, state: string): Promise<void> {
  const { files, ...rest } = JSON.parse(state) as GuestState;
  const contents = Object.entries(files).map(
    ([path, content]) => [`${FILE_PREFIX}${path}`, Buffer.from(content)] as const,
  );
  await memory.write(new Map([[REST, Buffer.from(JSON.stringify(rest))], ...contents]));
}

/** @returns the state as a guest imports it. @throws Error when there is none in this memory. */
export async function readGuest(memory: MemoryImage): Promise<string> {
  const entries = await memory.read();
  const rest = entries.get(REST);
  if (!rest) throw new Error('no guest is in the memory');
  const files = [...entries]
    .filter(([name]) => name.startsWith(FILE_PREFIX))
    .map(([name, content]) => [name.slice(FILE_PREFIX.length), content.toString()]);
  return JSON.stringify({ ...JSON.parse(rest.toString()), files: Object.fromEntries(files) });
}
