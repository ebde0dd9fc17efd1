/**
 * The HTTP status of an error. gRPC's code decides, by the mapping of
 * google.rpc.Code, but where HTTP has a status of its own for a reason.
 */
import { Code, type Reason } from '../../lib/errors/index.js';

const BY_CODE: Record<Code, number> = {
  [Code.OK]: 200,
  [Code.CANCELLED]: 499,
  [Code.UNKNOWN]: 500,
  [Code.INVALID_ARGUMENT]: 400,
  [Code.DEADLINE_EXCEEDED]: 504,
  [Code.NOT_FOUND]: 404,
  [Code.ALREADY_EXISTS]: 409,
  [Code.PERMISSION_DENIED]: 403,
  [Code.RESOURCE_EXHAUSTED]: 429,
  [Code.FAILED_PRECONDITION]: 400,
  [Code.ABORTED]: 409,
  [Code.OUT_OF_RANGE]: 400,
  [Code.UNIMPLEMENTED]: 501,
  [Code.INTERNAL]: 500,
  [Code.UNAVAILABLE]: 503,
  [Code.DATA_LOSS]: 500,
  [Code.UNAUTHENTICATED]: 401,
};

const BY_REASON: Partial<Record<Reason, number>> = {
  METHOD_NOT_ALLOWED: 405,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  GUEST_DISK_FULL: 507,
  HOST_DISK_FULL: 507,
  DISK_FULL: 507,
};

/** The HTTP status for a gRPC code and an error reason. */
export function httpStatusOf(code: number, reason: Reason): number {
  return BY_REASON[reason] ?? BY_CODE[code as Code] ?? 500;
}
