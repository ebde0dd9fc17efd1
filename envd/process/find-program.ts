/** Finds a program as a shell would, so that a missing one gets a precise error. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { guestFailure } from '../../lib/guest/guest-failure.js';

/** What an empty PATH, and an unset one, mean to execvp. */
const UNSET_PATH = '/bin:/usr/bin';

/**
 * Finds the file of a command.
 * @param command a path, relative to `cwd` unless absolute, or a name that is looked up in `path`.
 * @returns its absolute path.
 * @throws WrennError COMMAND_NOT_FOUND when there is none, or none that may be executed.
 */
export async function findProgram(command: string, path: string, cwd: string): Promise<string> {
  const candidates = command.includes('/')
    ? [resolve(cwd, command)]
    : (path || UNSET_PATH).split(':').map((folder) => resolve(cwd, folder, command));
  let found = false;
  for (const candidate of candidates) {
    const kind = await kindOf(candidate);
    if (kind === 'executable') return candidate;
    found ||= kind === 'other';
  }
  throw guestFailure(found ? 'program_not_executable' : 'program_not_found');
}

async function kindOf(path: string): Promise<'executable' | 'other' | 'absent'> {
  try {
    const status = await stat(path);
    return status.isFile() && (status.mode & 0o111) !== 0 ? 'executable' : 'other';
  } catch {
    return 'absent';
  }
}
