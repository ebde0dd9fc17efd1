/** The steps that a guest reports of its PostInit or PostRestore, held against their contract. */
import type { PostInitResponse_Step } from '../../gen/ts/wrenn/envd/v1/guest.js';
import type { WrennError } from '../../lib/errors/index.js';
import { contractBroken, printable } from './guest-error.js';

/** More than a guest has to do. */
const STEPS_MAX = 64;
const STEP_NAME = /^[a-z_]{1,32}$/;
const UNKNOWN_STEP = 'unknown';

/** One step that is done. */
export interface GuestStep {
  name: string;
  durationMs: number;
}

/**
 * Reads a report.
 * @param failure makes the error of a step that failed; the cause has the guest's own words.
 * @throws that error, or WrennError GUEST_UNREACHABLE when the report is none.
 */
export function checkSteps(
  reported: PostInitResponse_Step[],
  failure: (step: string, cause: Error) => WrennError,
): GuestStep[] {
  if (reported.length > STEPS_MAX) throw contractBroken('more steps than there are');
  const failed = reported.find(({ error }) => error !== '');
  if (failed) {
    const step = STEP_NAME.test(failed.name) ? failed.name : UNKNOWN_STEP;
    throw failure(step, new Error(`guest step ${step}: ${printable(failed.error)}`));
  }
  return reported.map(({ name, durationMs }) => {
    if (!STEP_NAME.test(name)) throw contractBroken('a step without a proper name');
    if (!Number.isFinite(durationMs) || durationMs < 0) {
      throw contractBroken('an impossible duration');
    }
    return { name, durationMs };
  });
}
