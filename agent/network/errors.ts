/** Errors of this folder that reach a caller. */
import { Code, WrennError } from '../../lib/errors/index.js';

/** Slots come free when sandboxes end, so a caller may try again after this time. */
const RETRY_AFTER_SEC = 5;

export function exhausted(slotCount: number): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'NETWORK_EXHAUSTED',
    'the host has no network slot left; delete a sandbox, or set WRENN_NETWORK_CIDR to a larger range',
    { metadata: { slots: String(slotCount) }, retryAfterSec: RETRY_AFTER_SEC },
  );
}

export function slotLost(cause: unknown): WrennError {
  return new WrennError(
    Code.INTERNAL,
    'SANDBOX_LOST',
    'the network of the sandbox does not stand any more',
    { cause },
  );
}

export function closed(): WrennError {
  return new WrennError(Code.UNAVAILABLE, 'SHUTTING_DOWN', 'the host agent is shutting down');
}

export function hostRequirement(
  message: string,
  options: { cause?: unknown; metadata?: Record<string, string> } = {},
): WrennError {
  return new WrennError(Code.FAILED_PRECONDITION, 'HOST_REQUIREMENT', message, options);
}

/** @throws AggregateError of all rejections, if there are any. */
export function throwRejected(outcomes: PromiseSettledResult<unknown>[], message: string): void {
  const errors = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  if (errors.length > 0) throw new AggregateError(errors, message);
}
