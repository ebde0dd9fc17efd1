import { Code, WrennError } from './wrenn-error.js';

/** Whether an operation failed because the disk, or the quota on it, has no room left. */
export function isDiskFull(error: unknown): boolean {
  const { code, stderr } = Object(error) as { code?: unknown; stderr?: unknown };
  if (typeof stderr === 'string' && stderr.includes('No space left on device')) return true;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** What a caller hears when the host's disk is full. */
export function hostDiskFull(cause: unknown): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'HOST_DISK_FULL',
    'the host has no room for another disk',
    { cause },
  );
}
