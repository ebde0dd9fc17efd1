import type { Metadata } from '@grpc/grpc-js';
import type { Log } from '../log/log.js';

/** What a handler knows about the call, given to it explicitly. */
export interface CallContext<Principal = undefined> {
  /** Adds request id and method to each line. */
  log: Log;
  /** Who calls, as the server's `authenticate` found out. */
  principal: Principal;
  /** Aborts when the caller goes away or the deadline passes. */
  signal: AbortSignal;
  /** When the caller stops waiting; undefined when it named no time. */
  deadline: Date | undefined;
  /** Id that stands in the log, in error details and in the `x-request-id` header. */
  requestId: string;
  metadata: Metadata;
  /** Address and port of the other end of the connection; `unknown` on a Unix socket. */
  peer: string;
}
