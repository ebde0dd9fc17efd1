import { type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from '../../gen/ts/google/rpc/error_details.js';
import { Status } from '../../gen/ts/google/rpc/status.js';

/** The trailer in which gRPC carries a serialized google.rpc.Status. */
const STATUS_DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_URL_PREFIX = 'type.googleapis.com/google.rpc.';

/** One field of a request that breaks a rule. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** What the server answered instead of a result, or why no server answered. */
export class WrennApiError extends Error {
  override readonly name = 'WrennApiError';
  /** gRPC status code. */
  readonly code: status;
  /** Machine-readable cause, such as `SANDBOX_NOT_FOUND`; empty when the server gave none. */
  readonly reason: string;
  /** Ids, limits and states that belong to the reason. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The faulty fields of an invalid request. */
  readonly violations: readonly FieldViolation[];
  /** Seconds after which another try may succeed. */
  readonly retryAfterSec: number | undefined;

  constructor(code: status, message: string, details: Partial<ErrorDetails> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = details.reason ?? '';
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterSec = details.retryAfterSec;
  }

  /** Name of the gRPC status code, such as `NOT_FOUND`. */
  get codeName(): string {
    return status[this.code] ?? String(this.code);
  }

  /** Turns what a gRPC call failed with into a WrennApiError. */
  static from(error: ServiceError): WrennApiError {
    return new WrennApiError(error.code, error.details, readDetails(error), error);
  }
}

interface ErrorDetails {
  reason: string;
  metadata: Record<string, string>;
  violations: FieldViolation[];
  retryAfterSec: number;
}

function readDetails(error: ServiceError): Partial<ErrorDetails> {
  const bytes = error.metadata?.get(STATUS_DETAILS_KEY)[0];
  if (!Buffer.isBuffer(bytes)) return {};
  try {
    return Object.assign({}, ...Status.decode(bytes).details.map(readDetail));
  } catch {
    // A proxy may have cut the trailer; code and message still stand.
    return {};
  }
}

function readDetail(detail: { typeUrl: string; value: Uint8Array }): Partial<ErrorDetails> {
  switch (detail.typeUrl) {
    case `${TYPE_URL_PREFIX}ErrorInfo`: {
      const { reason, metadata } = ErrorInfo.decode(detail.value);
      return { reason, metadata };
    }
    case `${TYPE_URL_PREFIX}BadRequest`:
      return { violations: BadRequest.decode(detail.value).fieldViolations };
    case `${TYPE_URL_PREFIX}RetryInfo`: {
      const { retryDelay } = RetryInfo.decode(detail.value);
      return retryDelay ? { retryAfterSec: Number(retryDelay.seconds) } : {};
    }
    default:
      return {};
  }
}
