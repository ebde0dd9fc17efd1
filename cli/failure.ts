/** How a failed command says what is wrong and what to do. */
import { status } from '@grpc/grpc-js';
import { WrennApiError } from '../clients/typescript/index.js';
import { Code, WrennError } from '../lib/errors/index.js';

/** Exit codes of `exec` for a program that gave none: those of timeout(1) and of shells. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  COMMAND_TIMEOUT: 124,
  COMMAND_NOT_STARTED: 126,
  COMMAND_NOT_FOUND: 127,
};

/** A mistake that the user can mend; the message says how. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** What is printed about a failure. */
export interface Failure {
  message: string;
  hint: string | undefined;
  exitCode: number;
  /** For `--json`. */
  body: { code: string; reason: string; message: string; metadata: Record<string, string> };
}

/** @param address of the server that was called, asked for when it was one that failed. */
export function describeFailure(thrown: unknown, address: () => string): Failure {
  if (thrown instanceof WrennApiError) return describeApiError(thrown, address());
  if (thrown instanceof CliError) {
    return failure(thrown.message, { code: 'CLIENT', hint: thrown.hint });
  }
  if (thrown instanceof WrennError) {
    // What is not meant for callers of the API is meant for who runs the platform.
    const cause = thrown.code === Code.INTERNAL ? thrown.cause : undefined;
    const message = cause instanceof Error ? cause.message : thrown.message;
    const { reason, metadata } = thrown;
    return failure(message, { code: Code[thrown.code], reason, metadata });
  }
  const error = thrown as NodeJS.ErrnoException;
  return failure(error?.message ?? String(thrown), { code: error?.code ?? 'CLIENT' });
}

function describeApiError(error: WrennApiError, address: string): Failure {
  const silent = error.code === status.UNAVAILABLE && error.reason === '';
  return failure(silent ? `no Wrenn answers at ${address}` : error.message, {
    code: error.codeName,
    reason: error.reason,
    metadata: { ...error.metadata },
    hint: silent
      ? 'start it with npm start, or name another address by --address or WRENN_ADDRESS'
      : hintFor(error),
    exitCode: EXIT_CODES[error.reason],
  });
}

function hintFor(error: WrennApiError): string | undefined {
  switch (error.reason) {
    case 'CREDENTIAL_MISSING':
    case 'CREDENTIAL_INVALID':
    case 'CREDENTIAL_EXPIRED':
      return 'log in by wrenn auth login; for sandboxes set WRENN_API_KEY or make a key by wrenn key create';
    case 'EMAIL_TAKEN':
      return 'if it is yours, log in by wrenn auth login';
    case 'SANDBOX_NOT_FOUND':
      return 'wrenn sandbox ls shows your sandboxes';
    case 'SANDBOX_STATE':
      return error.metadata.state === 'PAUSED' ? 'wrenn sandbox resume brings it back' : undefined;
    case 'PROCESS_NOT_FOUND':
      return 'wrenn ps shows what runs in a sandbox';
    case 'OUTPUT_OUT_OF_RANGE':
      return 'wrenn attach without --offset begins with the oldest output that is kept';
    case 'SNAPSHOT_NOT_FOUND':
    case 'TEMPLATE_NOT_FOUND':
      return 'wrenn snapshot ls shows templates and snapshots';
    case 'SNAPSHOT_DAMAGED':
    case 'SNAPSHOT_INCOMPATIBLE':
      return 'wrenn sandbox resume --cold boots a sandbox from its disk, without its memory';
    case 'SNAPSHOT_IN_USE':
      return 'delete the sandboxes that were started from it first';
    case 'API_KEY_NOT_FOUND':
      return 'wrenn key ls shows your keys';
    case 'COMMAND_TIMEOUT':
      return 'wrenn exec --timeout SECONDS gives it more time';
    default:
      return error.retryAfterSec === undefined
        ? undefined
        : `try again in ${error.retryAfterSec} s`;
  }
}

interface Details {
  code: string;
  reason?: string;
  metadata?: Record<string, string>;
  hint?: string | undefined;
  exitCode?: number | undefined;
}

function failure(message: string, details: Details): Failure {
  const { code, reason = '', metadata = {}, hint, exitCode = 1 } = details;
  return { message, hint, exitCode, body: { code, reason, message, metadata } };
}
