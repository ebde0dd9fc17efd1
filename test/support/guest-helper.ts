/** The real wrenn-guest, built on this machine into a folder of its own. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';

/** Builds it. @param folder where it goes. @returns its path. */
export function buildGuestHelper(folder: string, sanitize = ''): string {
  const source = join(packageRoot(), 'native', 'guest');
  const args = ['--silent', '-C', source, `BUILD=${folder}`, `SANITIZE=${sanitize}`];
  execFileSync('make', args, { stdio: 'pipe' });
  return join(folder, 'wrenn-guest');
}
