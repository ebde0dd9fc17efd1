/**
 * Standard input of a program: an open file that has no name. Unlike a pipe it
 * needs nobody who writes into it, and /dev/stdin can be opened again.
 */
import { closeSync, constants, fchownSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

let made = 0;

/**
 * Makes the descriptor from which a program reads `content`.
 * @param directory folder on a memory filesystem that only the daemon may use.
 */
export function openInput(
  directory: string,
  content: Uint8Array,
  owner: { uid: number; gid: number },
): number {
  const path = join(directory, `input-${++made}`);
  const { O_WRONLY, O_CREAT, O_EXCL, O_RDONLY } = constants;
  const writeFd = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    fchownSync(writeFd, owner.uid, owner.gid);
    for (let offset = 0; offset < content.length; ) {
      offset += writeSync(writeFd, content, offset);
    }
    return openSync(path, O_RDONLY);
  } finally {
    closeSync(writeFd);
    unlinkSync(path);
  }
}
