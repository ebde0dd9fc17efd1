/** wrenn-guest, the static program of native/guest, built when it is not current. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { runStep } from '../failure.js';

export const GUEST_HELPER_NAME = 'wrenn-guest';
const SOURCE_FOLDER = join('native', 'guest');
const BUILD_TIMEOUT_MS = 2 * 60_000;

export interface GuestHelper {
  content: Buffer;
  sha256: string;
}

/** @throws WrennError HOST_REQUIREMENT when it cannot be built. */
export async function buildGuestHelper(): Promise<GuestHelper> {
  const folder = join(packageRoot(), SOURCE_FOLDER);
  await runStep('building the guest helper', 'make', ['--silent', '-C', folder], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  const content = await readFile(join(folder, 'build', GUEST_HELPER_NAME));
  return { content, sha256: createHash('sha256').update(content).digest('hex') };
}
