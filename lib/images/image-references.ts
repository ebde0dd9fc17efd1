/**
 * Which images are needed although newer ones are there: a snapshot is restored
 * with the images that it was made with. Each instance of Wrenn that uses an
 * images folder keeps a mark for each image that it needs, and a build leaves
 * marked images alone.
 *
 *     <images>/references/<name of the image>.<instance id>
 */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../files/atomic-write.js';

const FOLDER_NAME = 'references';
const FOLDER_MODE = 0o755;
const MARK_MODE = 0o644;
const INSTANCE_ID = /^[a-z0-9]{1,64}$/;

/**
 * Makes the marks of an instance those of exactly these images; durable when it resolves. New
 * marks are there before old ones go. Paths outside of the images folder are left out.
 */
export async function setImageReferences(
  imagesDirectory: string,
  instanceId: string,
  paths: Iterable<string>,
): Promise<void> {
  if (!INSTANCE_ID.test(instanceId)) throw new Error('not the id of an instance');
  const folder = join(imagesDirectory, FOLDER_NAME);
  const wanted = new Set(
    [...paths]
      .filter((path) => dirname(resolve(path)) === resolve(imagesDirectory))
      .map((path) => `${basename(path)}.${instanceId}`),
  );
  const present = new Set(
    (await listMarks(imagesDirectory)).filter((mark) => instanceOf(mark) === instanceId),
  );
  const missing = [...wanted].filter((mark) => !present.has(mark));
  const stale = [...present].filter((mark) => !wanted.has(mark));
  if (missing.length + stale.length === 0) return;

  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  await syncDirectory(imagesDirectory);
  for (const mark of missing) await (await open(join(folder, mark), 'a', MARK_MODE)).close();
  await syncDirectory(folder);
  for (const mark of stale) await rm(join(folder, mark), { force: true });
}

/** Names of the files that any instance needs. */
export async function referencedImages(imagesDirectory: string): Promise<Set<string>> {
  const marks = await listMarks(imagesDirectory);
  return new Set(marks.map((mark) => mark.slice(0, mark.lastIndexOf('.'))));
}

async function listMarks(imagesDirectory: string): Promise<string[]> {
  try {
    return await readdir(join(imagesDirectory, FOLDER_NAME));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function instanceOf(mark: string): string {
  return mark.slice(mark.lastIndexOf('.') + 1);
}
