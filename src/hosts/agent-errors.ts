/**
 * What a host agent's error becomes for a caller. The reason decides; code and
 * text are ours, so that nothing a host or a guest wrote reaches the caller.
 */
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { retellGuestFailure } from '../../lib/guest/guest-failure.js';

interface PublicError {
  code: Code;
  message: string;
}

const UNREACHABLE_RETRY_SEC = 2;

const NUMBER = /^\d{1,16}$/;
/** Names of files of a snapshot, such as `memfile.x4k2`. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/;
/** Versions and models, such as `qemu 7.2.22`. */
const VERSION = /^[A-Za-z0-9][A-Za-z0-9 .,:;+_=()/-]{0,199}$/;
const STEP_NAME = /^[a-z][a-z0-9_]{0,63}$/;

/** Metadata that means the same to a caller, and the form in which alone it goes on. */
const FORWARDED_METADATA: Record<string, RegExp> = {
  limit_bytes: NUMBER,
  timeout_sec: NUMBER,
  memory_mb_free: NUMBER,
  vcpus: NUMBER,
  memory_mb: NUMBER,
  artifact: FILE_NAME,
  wanted: VERSION,
  present: VERSION,
  step: STEP_NAME,
};

/** States of a sandbox on its host that a caller knows, too. */
const FORWARDED_STATES = ['STARTING', 'PAUSING', 'PAUSED', 'RESUMING'];

/** gRPC's own answers, without a reason, when nobody answered. */
const TRANSPORT_CODES = new Set<Code>([Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED]);

const PUBLIC_ERRORS: Partial<Record<Reason, PublicError>> = {
  TEMPLATE_NOT_FOUND: { code: Code.NOT_FOUND, message: 'no host has this template' },
  SANDBOX_EXISTS: { code: Code.ALREADY_EXISTS, message: 'the sandbox exists already' },
  SANDBOX_CONFLICT: {
    code: Code.ABORTED,
    message: 'another call changed the sandbox first; look at it again',
  },
  STALE_GENERATION: {
    code: Code.ABORTED,
    message: 'another call changed the sandbox first; look at it again',
  },
  SANDBOX_LOST: { code: Code.FAILED_PRECONDITION, message: 'the host no longer has the sandbox' },
  SANDBOX_TIMEOUT: {
    code: Code.FAILED_PRECONDITION,
    message: 'the sandbox was deleted after its inactivity timeout',
  },
  BOOT_TIMEOUT: {
    code: Code.DEADLINE_EXCEEDED,
    message: 'the microVM did not become ready in time',
  },
  VMM_FAILED: { code: Code.INTERNAL, message: 'the microVM could not be started' },
  VMM_EXITED: { code: Code.FAILED_PRECONDITION, message: 'the microVM has ended' },
  GUEST_UNREACHABLE: { code: Code.UNAVAILABLE, message: 'the sandbox does not answer' },
  GUEST_TOO_OLD: {
    code: Code.FAILED_PRECONDITION,
    message: "the sandbox's guest daemon is older than this call; start a new sandbox",
  },
  STREAM_LIMIT: {
    code: Code.RESOURCE_EXHAUSTED,
    message: 'the sandbox has as many open streams as it may have; end one',
  },
  INVALID_REQUEST: {
    code: Code.INVALID_ARGUMENT,
    message: 'the request, or its place in the stream, is not valid',
  },
  COMMAND_TIMEOUT: {
    code: Code.DEADLINE_EXCEEDED,
    message: 'the program ran longer than its timeout_sec and was killed',
  },
  NETWORK_EXHAUSTED: {
    code: Code.RESOURCE_EXHAUSTED,
    message: 'the host has no network slot left; delete a sandbox or try again later',
  },
  HOST_EXHAUSTED: {
    code: Code.RESOURCE_EXHAUSTED,
    message: 'the host has not enough memory for the sandbox; ask for less or try again later',
  },
  HOST_DISK_FULL: { code: Code.RESOURCE_EXHAUSTED, message: "the host's disk is full" },
  DISK_FULL: {
    code: Code.RESOURCE_EXHAUSTED,
    message: "the host's disk is full and the sandbox stands still until it has room",
  },
  OVERLOADED: { code: Code.RESOURCE_EXHAUSTED, message: 'the host is busy; try again' },
  PAUSE_FAILED: {
    code: Code.INTERNAL,
    message: 'the sandbox could not be frozen and written down; it goes on',
  },
  RESTORE_FAILED: { code: Code.INTERNAL, message: 'the sandbox could not be brought back' },
  SNAPSHOT_DAMAGED: {
    code: Code.DATA_LOSS,
    message: 'a file of the snapshot is damaged or gone; a cold resume may save the disk',
  },
  SNAPSHOT_INCOMPATIBLE: {
    code: Code.FAILED_PRECONDITION,
    message: 'the host cannot bring back a snapshot of this kind',
  },
  SNAPSHOT_NOT_FOUND: { code: Code.NOT_FOUND, message: 'the host no longer has the snapshot' },
  SNAPSHOT_SHAPE: {
    code: Code.INVALID_ARGUMENT,
    message: 'a sandbox of a snapshot has the vcpus and memory_mb of the snapshot',
  },
};

/** The agent no longer knows the sandbox, or knows that it ended. */
export const GONE_REASONS: readonly Reason[] = ['SANDBOX_LOST', 'SANDBOX_TIMEOUT', 'VMM_EXITED'];

/** @param thrown what a call to the agent rejected with. */
export function fromAgentError(thrown: unknown): WrennError {
  const error = WrennError.from(thrown);
  const reason = publicReason(error);
  const known = PUBLIC_ERRORS[reason];
  // A reason that host and guest share is the guest's when it names a failure.
  const failure = known && !error.metadata.failure ? undefined : retellGuestFailure(error);
  if (failure) return failure;
  if (known) return withReason(reason, known, error);
  if (reason === 'SANDBOX_STATE') return wrongState(error);
  if (reason === 'CANCELLED') {
    return new WrennError(Code.CANCELLED, reason, 'the caller went away or its deadline passed', {
      cause: error,
    });
  }
  if (reason === 'HOST_UNAVAILABLE') return hostUnavailable(error);
  return WrennError.from(new Error('unexpected answer of the host agent', { cause: error }));
}

/** The same for a create or a resume: a VMM that ended while it booted is a boot that failed. */
export function fromBootError(thrown: unknown): WrennError {
  const error = fromAgentError(thrown);
  const failed = PUBLIC_ERRORS.VMM_FAILED;
  return error.reason === 'VMM_EXITED' && failed ? withReason('VMM_FAILED', failed, error) : error;
}

/** The same for one copy of a fork, of which only code and reason are told. */
export function fromForkError(reason: Reason): WrennError {
  return fromBootError(new WrennError(Code.UNKNOWN, reason, ''));
}

export function hostUnavailable(cause: unknown): WrennError {
  return new WrennError(
    Code.UNAVAILABLE,
    'HOST_UNAVAILABLE',
    'no host answers; try again in a moment',
    { cause, retryAfterSec: UNREACHABLE_RETRY_SEC },
  );
}

/** The reason in terms of the control plane: what the agent does not know, the control plane lost. */
function publicReason(error: WrennError): Reason {
  switch (error.reason) {
    case 'SANDBOX_NOT_FOUND':
      return 'SANDBOX_LOST';
    case 'SANDBOX_STATE':
      return endReason(error) ?? 'SANDBOX_STATE';
    case 'SHUTTING_DOWN':
      return 'HOST_UNAVAILABLE';
    case 'CANCELLED':
    case 'UNSPECIFIED':
      return TRANSPORT_CODES.has(error.code) ? transportReason(error) : error.reason;
    default:
      return error.reason;
  }
}

/** Only a call that its own caller gave up is cancelled; else the host did not answer. */
function transportReason(error: WrennError): Reason {
  return error.code === Code.CANCELLED ? 'CANCELLED' : 'HOST_UNAVAILABLE';
}

function endReason({ metadata }: WrennError): Reason | undefined {
  return GONE_REASONS.find((reason) => reason === metadata.end_reason);
}

/** An agent that names no state has refused for what the sandbox has, such as no generation. */
function wrongState(error: WrennError): WrennError {
  const named = error.metadata.state;
  const state = FORWARDED_STATES.find((known) => known === named) ?? 'DELETING';
  const message =
    named === undefined
      ? 'the sandbox has nothing yet to which the call could apply'
      : `the sandbox is ${state}, which does not allow the call`;
  return new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', message, {
    metadata: named === undefined ? {} : { state },
    cause: error,
  });
}

function withReason(reason: Reason, { code, message }: PublicError, error: WrennError): WrennError {
  const metadata = Object.fromEntries(
    Object.entries(error.metadata).filter(([name, value]) => FORWARDED_METADATA[name]?.test(value)),
  );
  return new WrennError(code, reason, message, {
    metadata,
    cause: error,
    ...(error.retryAfterSec === undefined ? {} : { retryAfterSec: error.retryAfterSec }),
  });
}
