/** What `serve` knows of one call: its context, its log line, and how it leaves. */
import type { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { Code, toServiceError, WrennError } from '../errors/index.js';
import { randomId } from '../ids/random-id.js';
import type { Log } from '../log/log.js';
import type { CallContext } from './call-context.js';

/** Form of a request id that a caller may choose. */
export const REQUEST_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** What calls of all kinds have in common. */
export interface ServerCall extends EventEmitter {
  metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
  getDeadline(): Date | number;
  getPeer(): string;
}

export interface ObservedCall {
  context: CallContext<undefined>;
  responseMetadata: Metadata;
  finish(): void;
  /** Logs the error and returns what goes to the caller. */
  fail(thrown: unknown): ReturnType<typeof toServiceError>;
}

/**
 * @param path of the method.
 * @param isRoutine whether the success of the call is logged at debug only.
 */
export function observeCall(
  path: string,
  call: ServerCall,
  log: Log,
  isRoutine: boolean,
): ObservedCall {
  const startedAt = performance.now();
  const requestId = requestIdOf(call.metadata);
  const callLog = log.child({ request_id: requestId, rpc_method: path.slice(1) });
  const controller = new AbortController();
  let finished = false;
  // grpc-js also emits `cancelled` after a normal end.
  call.on('cancelled', () => {
    if (!finished) controller.abort(cancelled());
  });
  const responseMetadata = new Metadata();
  responseMetadata.set('x-request-id', requestId);
  const end = (fields: Record<string, unknown>) => {
    finished = true;
    return { duration_ms: Math.round((performance.now() - startedAt) * 10) / 10, ...fields };
  };
  return {
    context: {
      log: callLog,
      principal: undefined,
      signal: controller.signal,
      deadline: deadlineOf(call.getDeadline()),
      requestId,
      metadata: call.metadata,
      peer: call.getPeer(),
    },
    responseMetadata,
    finish: () => {
      callLog[isRoutine ? 'debug' : 'info']('call finished', end({ grpc_code: status[status.OK] }));
    },
    fail: (thrown) => {
      const error = WrennError.from(
        controller.signal.aborted && isAbort(thrown) ? cancelled(thrown) : thrown,
      );
      logFailure(
        callLog,
        error,
        end({ grpc_code: status[error.code], error_reason: error.reason }),
      );
      return toServiceError(error, requestId);
    },
  };
}

/** A caller's own mistake is one line; a fault of ours stands there with its whole chain of causes. */
function logFailure(log: Log, error: WrennError, fields: Record<string, unknown>): void {
  if (error.code === Code.INTERNAL || error.code === Code.DATA_LOSS) {
    log.error('call failed', { ...fields, error });
  } else if (error.cause !== undefined) {
    log.warn('call failed', { ...fields, error });
  } else {
    log.info('call failed', fields);
  }
}

function cancelled(cause?: unknown): WrennError {
  return new WrennError(
    Code.CANCELLED,
    'CANCELLED',
    'the caller went away or its deadline passed',
    { cause },
  );
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'WrennError');
}

function requestIdOf(metadata: Metadata): string {
  const given = metadata.get('x-request-id')[0];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomId();
}

function deadlineOf(deadline: Date | number): Date | undefined {
  const time = typeof deadline === 'number' ? deadline : deadline.getTime();
  return Number.isFinite(time) ? new Date(time) : undefined;
}
