/**
 * Serves a generated service definition with handlers that are plain async
 * functions. For each call, in this order: authenticate, validate the bytes,
 * decode, handle; then one log line, and an error leaves as google.rpc.Status.
 * Nothing that a handler throws ends the process.
 */
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type Server,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Code, toServiceError, WrennError } from '../errors/index.js';
import { randomId } from '../ids/random-id.js';
import type { Log } from '../log/log.js';
import type { CallContext } from './call-context.js';
import type { MethodShape, RequestOf, ResponseOf, ServiceShape } from './method.js';

/** Handlers of a service: a promise for a unary method, an async iterable for a server stream. */
export type Handlers<S extends ServiceShape, Principal> = {
  [K in keyof S]: S[K]['responseStream'] extends true
    ? (context: CallContext<Principal>, request: RequestOf<S[K]>) => AsyncIterable<ResponseOf<S[K]>>
    : (context: CallContext<Principal>, request: RequestOf<S[K]>) => Promise<ResponseOf<S[K]>>;
};

export interface ServeOptions<Principal> {
  log: Log;
  /** Finds out who calls; throws UNAUTHENTICATED for a caller who may not. */
  authenticate: (path: string, metadata: Metadata) => Promise<Principal> | Principal;
  /** Checks an encoded request by the rules in the proto; throws INVALID_ARGUMENT. */
  validate?: (path: string, request: Buffer) => void;
  /** Whether a call of this method is routine, such as a poll: its success is logged at debug only. */
  isRoutine?: (path: string) => boolean;
}

type AnyHandler = (context: CallContext<unknown>, request: unknown) => unknown;
type RawUnaryCall = Parameters<handleUnaryCall<Buffer, unknown>>[0];
type RawStreamCall = ServerWritableStream<Buffer, unknown>;

/** Form of a request id that a caller may choose. */
export const REQUEST_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** Adds a service to a server. */
export function serve<S extends ServiceShape, Principal>(
  server: Server,
  definition: S,
  handlers: Handlers<S, Principal>,
  options: ServeOptions<Principal>,
): void {
  const raw: Record<string, unknown> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    const handler = handlers[name] as AnyHandler;
    // Requests stay bytes until the caller is known and the rules hold.
    raw[name] = { ...method, requestDeserialize: (bytes: Buffer) => bytes };
    implementation[name] = method.responseStream
      ? serverStreaming(method, handler, options as ServeOptions<unknown>)
      : unary(method, handler, options as ServeOptions<unknown>);
  }
  server.addService(raw as ServiceDefinition, implementation);
}

function unary(
  method: MethodShape,
  handler: AnyHandler,
  options: ServeOptions<unknown>,
): UntypedHandleCall {
  const handle: handleUnaryCall<Buffer, unknown> = async (call, callback) => {
    const observed = observe(method, call, options);
    try {
      const response = await handler(...(await admit(method, call, observed, options)));
      observed.finish();
      callback(null, response);
    } catch (error) {
      callback(observed.fail(error));
    }
  };
  return handle as UntypedHandleCall;
}

function serverStreaming(
  method: MethodShape,
  handler: AnyHandler,
  options: ServeOptions<unknown>,
): UntypedHandleCall {
  const handle: handleServerStreamingCall<Buffer, unknown> = async (call) => {
    const observed = observe(method, call, options);
    // grpc-js emits an error on a stream whose peer has gone; `signal` tells it already.
    call.on('error', () => undefined);
    try {
      const responses = handler(
        ...(await admit(method, call, observed, options)),
      ) as AsyncIterable<unknown>;
      for await (const response of responses) {
        observed.context.signal.throwIfAborted();
        if (!call.write(response)) await drained(call, observed.context.signal);
      }
      observed.finish();
      call.end();
    } catch (error) {
      // grpc-js sends the status of an error that is emitted; after destroy() it sends none.
      call.emit('error', observed.fail(error));
    }
  };
  return handle as UntypedHandleCall;
}

async function admit(
  method: MethodShape,
  call: RawUnaryCall | RawStreamCall,
  observed: ObservedCall,
  options: ServeOptions<unknown>,
): Promise<[CallContext<unknown>, unknown]> {
  call.sendMetadata(observed.responseMetadata);
  const principal = await options.authenticate(method.path, call.metadata);
  options.validate?.(method.path, call.request);
  return [{ ...observed.context, principal }, decode(method, call.request)];
}

function decode(method: MethodShape, bytes: Buffer): unknown {
  try {
    return method.requestDeserialize(bytes);
  } catch (cause) {
    throw new WrennError(
      Code.INVALID_ARGUMENT,
      'INVALID_REQUEST',
      'the request is not a valid message',
      { cause },
    );
  }
}

interface ObservedCall {
  context: CallContext<undefined>;
  responseMetadata: Metadata;
  finish(): void;
  /** Logs the error and returns what goes to the caller. */
  fail(thrown: unknown): ReturnType<typeof toServiceError>;
}

function observe(
  method: MethodShape,
  call: RawUnaryCall | RawStreamCall,
  { log, isRoutine }: ServeOptions<unknown>,
): ObservedCall {
  const startedAt = performance.now();
  const requestId = requestIdOf(call.metadata);
  const callLog = log.child({ request_id: requestId, rpc_method: method.path.slice(1) });
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
      const level = isRoutine?.(method.path) ? 'debug' : 'info';
      callLog[level]('call finished', end({ grpc_code: status[status.OK] }));
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

async function drained(call: RawStreamCall, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
  signal.throwIfAborted();
}
