/**
 * Errors of calls into a guest. A guest is not trusted: what it says about an
 * error is looked up in our own table (lib/guest), and its words reach only the
 * operator's log, as a short line of printable characters.
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import { retellGuestFailure } from '../../lib/guest/guest-failure.js';

/** Characters of a guest's own words that are kept for the operator. */
const WORDS_LENGTH_MAX = 200;

/** An error in our own words; one with the same reason that came over the wire is no instance. */
class OwnError extends WrennError {}

/** The guest daemon does not answer, or not as its contract says. */
export function guestUnreachable(
  message: string,
  cause?: unknown,
  metadata: Record<string, string> = {},
): WrennError {
  return new OwnError(Code.UNAVAILABLE, 'GUEST_UNREACHABLE', message, { cause, metadata });
}

/** A restored guest did not become a sandbox again: the step that failed, for a caller to know. */
export function restoreFailed(message: string, step: string, cause?: unknown): WrennError {
  return new OwnError(Code.UNAVAILABLE, 'RESTORE_FAILED', message, { cause, metadata: { step } });
}

/** The guest broke the contract; `what` is our own text. */
export function contractBroken(what: string): WrennError {
  return guestUnreachable(
    'the guest daemon did not answer as its contract says',
    new Error(`guest broke the contract: ${what}`),
  );
}

/** A daemon of an older snapshot does not know the call. */
function guestTooOld(cause: unknown): WrennError {
  const message = "the sandbox's guest daemon is older than this call; start a new sandbox";
  return new OwnError(Code.FAILED_PRECONDITION, 'GUEST_TOO_OLD', message, { cause });
}

/**
 * What the caller gets when a call into a guest has failed: the reason of its
 * own signal if that aborted, a failure that a guest may report, GUEST_TOO_OLD
 * for a call that the guest does not know, else GUEST_UNREACHABLE.
 */
export function fromGuest(thrown: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (thrown instanceof OwnError) return thrown;
  const error = WrennError.from(thrown);
  const failure = retellGuestFailure(error);
  if (failure) return failure;
  const cause = new Error(`guest call failed: ${Code[error.code]}: ${printable(wordsOf(error))}`);
  if (error.code === Code.UNIMPLEMENTED) return guestTooOld(cause);
  return guestUnreachable('the guest daemon did not answer', cause);
}

/** A guest's words, fit for a log. */
export function printable(words: string, lengthMax = WORDS_LENGTH_MAX): string {
  return words.slice(0, lengthMax).replace(/[^\x20-\x7e]/g, '?');
}

function wordsOf(error: WrennError): string {
  // What is no gRPC status at all has its own words underneath.
  if (error.code === Code.INTERNAL && error.cause instanceof Error) return error.cause.message;
  return error.message;
}
