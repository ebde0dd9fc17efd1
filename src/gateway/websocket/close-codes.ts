/** The codes and reasons of close frames. What the WebSocket library closes by itself is by RFC 6455. */
import type { Status } from '../../../gen/ts/google/rpc/status.js';
import { Code, fromStatus } from '../../../lib/errors/index.js';
import { CLOSE_REASON_BYTES_MAX } from './limits.js';

export const CLOSE_CODES = { completed: 1000, shutdown: 1001, binary: 1003 } as const;

/** Close codes of failed calls follow it: 4000 and the gRPC code. */
const FAILED = 4000;

/** The close code of a failed call. */
export function closeCodeOf({ code }: Status): number {
  const isKnown = code !== Code.OK && Code[code] !== undefined;
  return FAILED + (isKnown ? code : Code.UNKNOWN);
}

/** The reason of the error, as far as a close frame holds it. */
export function closeReasonOf(status: Status): string {
  return fromStatus(status).reason.slice(0, CLOSE_REASON_BYTES_MAX);
}
