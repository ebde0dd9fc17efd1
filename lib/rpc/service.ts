/**
 * Serves a generated service definition with handlers that are plain async
 * functions. For each call, in this order: authenticate, validate the bytes,
 * decode, handle; then one log line, and an error leaves as google.rpc.Status.
 * Nothing that a handler throws ends the process.
 */
import type { Readable } from 'node:stream';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { Code, WrennError } from '../errors/index.js';
import type { Log } from '../log/log.js';
import type { CallContext } from './call-context.js';
import { hasExplicitEnd } from './explicit-end.js';
import type { MethodShape, Requests, Responses, ServiceShape } from './method.js';
import { type ObservedCall, observeCall, type ServerCall } from './observed-call.js';
import { boundStreamBuffers, drained, messagesOf } from './streams.js';

export { REQUEST_ID } from './observed-call.js';

/**
 * Handlers of a service: a promise for one answer, an async iterable for a stream of them. A stream
 * of requests throws when the caller goes away.
 */
export type Handlers<S extends ServiceShape, Principal> = {
  [K in keyof S]: (context: CallContext<Principal>, request: Requests<S[K]>) => Responses<S[K]>;
};

export interface ServeOptions<Principal> {
  log: Log;
  /** Finds out who calls; throws UNAUTHENTICATED for a caller who may not. */
  authenticate: (path: string, metadata: Metadata) => Promise<Principal> | Principal;
  /**
   * Checks an encoded request by the rules in the proto and returns it as it was
   * checked; throws INVALID_ARGUMENT.
   */
  validate?: (path: string, request: Buffer) => Buffer;
  /** Whether a call of this method is routine, such as a poll: its success is logged at debug only. */
  isRoutine?: (path: string) => boolean;
}

type AnyHandler = (context: CallContext<unknown>, request: unknown) => unknown;
type AnyOptions = ServeOptions<unknown>;
type WritableCall = ServerWritableStream<Buffer, unknown> | ServerDuplexStream<Buffer, unknown>;

/** Adds a service to a server. */
export function serve<S extends ServiceShape, Principal>(
  server: Server,
  definition: S,
  handlers: Handlers<S, Principal>,
  options: ServeOptions<Principal>,
): void {
  boundStreamBuffers();
  const raw: Record<string, unknown> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    // Requests stay bytes until the caller is known and the rules hold.
    raw[name] = { ...method, requestDeserialize: (bytes: Buffer) => bytes };
    const handler = handlers[name] as AnyHandler;
    implementation[name] = toGrpcHandler(method, handler, options as AnyOptions);
  }
  server.addService(raw as ServiceDefinition, implementation);
}

function toGrpcHandler(
  method: MethodShape,
  handler: AnyHandler,
  options: AnyOptions,
): UntypedHandleCall {
  if (method.responseStream) return manyAnswers(method, handler, options);
  return oneAnswer(method, handler, options);
}

function oneAnswer(
  method: MethodShape,
  handler: AnyHandler,
  options: AnyOptions,
): UntypedHandleCall {
  const handle: handleUnaryCall<Buffer, unknown> & handleClientStreamingCall<Buffer, unknown> =
    async (call, callback) => {
      const observed = observe(method, call, options);
      call.on('error', () => undefined);
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

function manyAnswers(
  method: MethodShape,
  handler: AnyHandler,
  options: AnyOptions,
): UntypedHandleCall {
  const handle: handleServerStreamingCall<Buffer, unknown> &
    handleBidiStreamingCall<Buffer, unknown> = async (call: WritableCall) => {
    const observed = observe(method, call, options);
    // grpc-js emits an error on a stream whose peer has gone; `signal` tells it already.
    call.on('error', () => undefined);
    try {
      const admitted = await admit(method, call, observed, options);
      await writeAll(call, handler(...admitted) as AsyncIterable<unknown>, observed);
      observed.finish();
      call.end();
    } catch (error) {
      // grpc-js sends the status of an error that is emitted; after destroy() it sends none.
      call.emit('error', observed.fail(error));
    }
  };
  return handle as UntypedHandleCall;
}

async function writeAll(
  call: WritableCall,
  responses: AsyncIterable<unknown>,
  { context: { signal } }: ObservedCall,
): Promise<void> {
  for await (const response of responses) {
    signal.throwIfAborted();
    if (!call.write(response)) await drained(call, signal);
  }
}

function observe(method: MethodShape, call: ServerCall, options: AnyOptions): ObservedCall {
  const { log, isRoutine } = options;
  return observeCall(method.path, call, log, isRoutine?.(method.path) ?? false);
}

/** The first metadata of the answer tells that the caller is known; a refusal comes without it. */
async function admit(
  method: MethodShape,
  call: ServerCall,
  observed: ObservedCall,
  options: AnyOptions,
): Promise<[CallContext<unknown>, unknown]> {
  const principal = await options.authenticate(method.path, call.metadata);
  call.sendMetadata(observed.responseMetadata);
  const context = { ...observed.context, principal };
  const read = (bytes: Buffer) => decode(method, options.validate?.(method.path, bytes) ?? bytes);
  if (!method.requestStream)
    return [context, read((call as unknown as ServerUnaryCall<Buffer, unknown>).request)];
  const stream = call as unknown as Readable;
  const endsExplicitly = hasExplicitEnd(call.metadata);
  return [context, messagesOf({ stream, read, endsExplicitly }, context.signal)];
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
