/** One line for each WebSocket, when it is closed or was refused. */
import { Code, fromStatus } from '../../../lib/errors/index.js';
import type { Log } from '../../../lib/log/log.js';
import { isSentByService, statusOf } from '../call-error.js';

export interface FinishedWebSocket {
  requestId: string;
  /** Undefined when the client had gone before there was an answer. */
  httpStatus: number | undefined;
  /** The code of the close frame, 1006 where none came; undefined when the request was refused. */
  closeCode: number | undefined;
  durationMs: number;
  /** What went wrong, if anything did. */
  failure: unknown;
  hasLeft: boolean;
}

/** A service logs its own calls; here stands what never reached one, and what grpc-js reports. */
export function logWebSocket(log: Log, finished: FinishedWebSocket): void {
  const { requestId, failure } = finished;
  const fields = {
    request_id: requestId,
    http_method: 'GET',
    http_status: finished.httpStatus,
    close_code: finished.closeCode,
    duration_ms: Math.round(finished.durationMs * 10) / 10,
  };
  if (finished.hasLeft) {
    log.info('websocket client went away', fields);
    return;
  }
  if (failure === undefined || isSentByService(failure)) {
    log.debug('websocket finished', fields);
    return;
  }
  const { code, reason } = fromStatus(statusOf(failure, requestId));
  const errorFields = { ...fields, error_reason: reason };
  if (code === Code.INTERNAL) log.error('websocket failed', { ...errorFields, error: failure });
  else if (code === Code.UNAVAILABLE) log.warn('websocket failed', errorFields);
  else log.info('websocket refused', errorFields);
}
