/** A folder of its own for one test, gone when the test is over. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  /** Deletes the folder with everything in it. Idempotent. */
  remove(): Promise<void>;
}

/**
 * Makes the folder. Either `await using directory = await temporaryDirectory()`
 * or `remove()` in a hook. Its path is short, because a Unix socket in it must
 * stay below 108 bytes.
 */
export async function temporaryDirectory(prefix = 'wrenn-test-'): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const remove = () => rm(path, { recursive: true, force: true });
  return { path, remove, [Symbol.asyncDispose]: remove };
}
