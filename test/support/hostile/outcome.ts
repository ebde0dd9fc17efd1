/** What a caller hears of a request, the same for both protocols, and what must hold of every one. */

import { BadRequest, ErrorInfo } from '../../../gen/ts/google/rpc/error_details.js';
import { Status } from '../../../gen/ts/google/rpc/status.js';
import { Code } from '../../../lib/errors/index.js';

/** Largest google.rpc.Status: it goes out in the trailers, for which peers have little room. */
export const STATUS_BYTES_MAX = 8192;
const MESSAGE_LENGTH_MAX = 1024;
const CONTROL = /\p{Cc}/u;

export interface Outcome {
  code: Code;
  /** Empty when it went well, or when nobody said. */
  reason: string;
  message: string;
  /** Fields that an error names. */
  fields: string[];
  statusBytes: number;
  /** Of HTTP; 0 of gRPC. */
  httpStatus: number;
}

export const WENT_WELL: Outcome = {
  ...{ code: Code.OK, reason: '', message: '', fields: [], statusBytes: 0, httpStatus: 0 },
};

/** Codes that say that the server, not the caller, was at fault, or that nobody answered in time. */
const FAULTS: ReadonlySet<Code> = new Set([
  ...[Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS, Code.UNAVAILABLE, Code.CANCELLED],
  ...[Code.DEADLINE_EXCEEDED],
]);

/** Out of the bytes of a google.rpc.Status. */
export function outcomeOfStatus(bytes: Uint8Array, httpStatus = 0): Outcome {
  const { code, message, details } = Status.decode(bytes);
  const find = (type: string) =>
    details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${type}`));
  const info = find('ErrorInfo');
  const bad = find('BadRequest');
  return {
    ...{ code, message, httpStatus, statusBytes: bytes.length },
    reason: info ? ErrorInfo.decode(info.value).reason : '',
    fields: bad ? BadRequest.decode(bad.value).fieldViolations.map(({ field }) => field) : [],
  };
}

/** What is wrong with an answer whatever was asked; undefined when nothing is. */
export function faultOf({
  code,
  reason,
  message,
  fields,
  statusBytes,
  httpStatus,
}: Outcome): string | undefined {
  if (code === Code.OK) return undefined;
  if (FAULTS.has(code)) return `code ${Code[code]}: ${message}`;
  if (httpStatus >= 500 && httpStatus !== 507) return `HTTP status ${httpStatus}`;
  if (reason === '') return `no reason: ${Code[code]} ${message}`;
  if (message.length > MESSAGE_LENGTH_MAX) return `a message of ${message.length} characters`;
  if (statusBytes > STATUS_BYTES_MAX) return `a status of ${statusBytes} bytes`;
  if (CONTROL.test(message) || fields.some((field) => CONTROL.test(field)))
    return 'control characters in the message';
  return undefined;
}
