/**
 * What the gateway logs of a request. A service logs its own calls; here stands
 * what never reached one, and what grpc-js reports.
 */
import { Code, fromStatus } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import { isSentByService, statusOf } from './call-error.js';
import type { Exchange } from './exchange.js';

/** Logs the end of a request; `failure` is undefined for one that ended well. */
export function logRequest(
  log: Log,
  { request, response, requestId, signal }: Exchange,
  failure: unknown,
  durationMs: number,
): void {
  const fields = {
    request_id: requestId,
    http_method: request.method,
    http_status: response.headersSent ? response.statusCode : undefined,
    duration_ms: Math.round(durationMs * 10) / 10,
  };
  if (failure === undefined || isSentByService(failure)) {
    log.debug('http request finished', fields);
    return;
  }
  if (signal.aborted) {
    log.info('http client went away', fields);
    return;
  }
  const { code, reason } = fromStatus(statusOf(failure, requestId));
  const errorFields = { ...fields, error_reason: reason };
  if (code === Code.INTERNAL) log.error('http request failed', { ...errorFields, error: failure });
  else if (code === Code.UNAVAILABLE) log.warn('http request failed', errorFields);
  else log.info('http request refused', errorFields);
}
