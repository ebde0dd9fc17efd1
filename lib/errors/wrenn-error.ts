/**
 * The one error type of Wrenn. What a caller may see is in `message`, `code`,
 * `reason`, `metadata` and `violations`; what only the operator may see is in
 * `cause`. `toStatus` (status.ts) turns any thrown value into what goes out.
 */
import { status } from '@grpc/grpc-js';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';

export { status as Code } from '@grpc/grpc-js';

/** Name of an error reason, without the prefix that the proto enum carries. */
export type Reason =
  Exclude<keyof typeof ErrorReason, 'UNRECOGNIZED'> extends `ERROR_REASON_${infer Name}`
    ? Name
    : never;

/** One field of a request that breaks a rule. */
export interface FieldViolation {
  field: string;
  description: string;
  /** Id of the rule, such as `string.pattern`. */
  rule: string;
}

export interface WrennErrorOptions {
  /** Ids, limits and states for programs; units stand in the key. */
  metadata?: Record<string, string>;
  violations?: FieldViolation[];
  /** Seconds after which the caller may try again. */
  retryAfterSec?: number;
  /** What went wrong underneath; logged, never sent. */
  cause?: unknown;
}

export class WrennError extends Error {
  override readonly name = 'WrennError';
  readonly code: status;
  readonly reason: Reason;
  readonly metadata: Record<string, string>;
  readonly violations: FieldViolation[];
  readonly retryAfterSec: number | undefined;

  constructor(code: status, reason: Reason, message: string, options: WrennErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.violations = options.violations ?? [];
    this.retryAfterSec = options.retryAfterSec;
  }

  /** Turns any thrown value into a WrennError; what is not one is INTERNAL. */
  static from(thrown: unknown): WrennError {
    if (thrown instanceof WrennError) return thrown;
    return new WrennError(
      status.INTERNAL,
      'INTERNAL',
      'an internal error occurred; the request id finds it in the log',
      { cause: thrown },
    );
  }
}

/** Whether a thrown value is a WrennError with one of these reasons. */
export function hasReason(thrown: unknown, ...reasons: Reason[]): thrown is WrennError {
  return thrown instanceof WrennError && reasons.includes(thrown.reason);
}

/** Proto number of a reason. */
export function reasonNumber(reason: Reason): ErrorReason {
  return ErrorReason[`ERROR_REASON_${reason}`];
}

/** Reason of a proto number; numbers of newer versions are UNSPECIFIED. */
export function reasonName(number: ErrorReason): Reason {
  const name = ErrorReason[number];
  return typeof name === 'string' && name.startsWith('ERROR_REASON_')
    ? (name.slice('ERROR_REASON_'.length) as Reason)
    : 'UNSPECIFIED';
}
