/** A note in the guest of a fake machine, in its memory and on its disk. */
import { expect } from 'chai';
import type { FakeHost } from './fake-host.js';

const { signal } = new AbortController();
const MEMORY_PATH = '/root/note';
const DISK_PATH = '/disk/note';
const SIZE_BYTES_MAX = 1024;

export async function writeNote(fake: FakeHost, sandboxId: string, note: string): Promise<void> {
  const content = Buffer.from(note);
  for (const path of [MEMORY_PATH, DISK_PATH]) {
    await fake.manager.withGuest(sandboxId, (guest) =>
      guest.writeFile({ path, content, user: '', mode: 0 }, signal),
    );
  }
}

/** The note of a guest that has not lost its memory, where it must be the same as on its disk. */
export async function readNote(fake: FakeHost, sandboxId: string): Promise<string> {
  const inMemory = await read(fake, sandboxId, MEMORY_PATH);
  expect(await readDiskNote(fake, sandboxId)).to.equal(inMemory);
  return inMemory;
}

export function readDiskNote(fake: FakeHost, sandboxId: string): Promise<string> {
  return read(fake, sandboxId, DISK_PATH);
}

async function read(fake: FakeHost, sandboxId: string, path: string): Promise<string> {
  const { content } = await fake.manager.withGuest(sandboxId, (guest) =>
    guest.readFile({ path, sizeBytesMax: SIZE_BYTES_MAX }, signal),
  );
  return content.toString();
}
