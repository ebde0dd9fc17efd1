/** Errors of the QEMU driver, with the VMM's own words as cause. */
import { hostDiskFull, isDiskFull } from '../../../lib/errors/disk-full.js';
import { Code, WrennError } from '../../../lib/errors/index.js';

/** @param what what could not be done, safe for the caller, such as `could not be started`. */
export function vmmFailed(what: string, cause: unknown): WrennError {
  if (cause instanceof WrennError) return cause;
  if (isDiskFull(cause)) return hostDiskFull(cause);
  return new WrennError(Code.UNAVAILABLE, 'VMM_FAILED', `the virtual machine ${what}`, { cause });
}
