/**
 * A client of a generated service definition with promises and async
 * iterables. Errors arrive as WrennError; every call has a deadline.
 */
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  Metadata,
} from '@grpc/grpc-js';
import { fromServiceError } from '../errors/index.js';
import { Connections, RESETS_MAX } from './connections.js';
import { announceExplicitEnd, END_MESSAGE } from './explicit-end.js';
import type { MethodShape, Requests, Responses, ServiceShape } from './method.js';
import { sendAll } from './send-all.js';
import { boundStreamBuffers } from './streams.js';

export interface ClientCallOptions {
  /** Time after which the call ends with DEADLINE_EXCEEDED; `Infinity` for a stream without end. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Another one with the same effect; a long-lived one keeps no trace of the call. */
  alsoSignal?: AbortSignal | undefined;
  metadata?: Record<string, string>;
}

/** Two clients of one address share a connection unless they are told not to. */
const OWN_CONNECTION = { 'grpc.use_local_subchannel_pool': 1 };

export type RpcClient<S extends ServiceShape> = {
  [K in keyof S]: (request: Requests<S[K]>, options: ClientCallOptions) => Responses<S[K]>;
} & { close(): void };

/** Makes a client. It connects at the first call. */
export function createClient<S extends ServiceShape>(
  definition: S,
  address: string,
  credentials: ChannelCredentials,
  channelOptions: ChannelOptions = {},
): RpcClient<S> {
  boundStreamBuffers();
  const options = { ...OWN_CONNECTION, ...channelOptions };
  const connections = new Connections(
    () => new Client(address, credentials, options),
    // A channel that is shared is not this client's to close.
    channelOptions.channelOverride ? Number.POSITIVE_INFINITY : RESETS_MAX,
  );
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    caller(connections, method),
  ]);
  return { ...Object.fromEntries(methods), close: () => connections.close() } as RpcClient<S>;
}

function caller(connections: Connections, method: MethodShape) {
  if (method.requestStream) {
    return method.responseStream
      ? bidiStream(connections, method)
      : clientStream(connections, method);
  }
  return method.responseStream ? serverStream(connections, method) : unary(connections, method);
}

function unary(connections: Connections, method: MethodShape) {
  return (request: unknown, options: ClientCallOptions): Promise<unknown> =>
    new Promise((resolve, reject) => {
      requireWanted(options);
      const call = connections.start((client) =>
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          toMetadata(options),
          toCallOptions(options),
          (error, response) => {
            stopListening();
            if (error) reject(fromServiceError(error));
            else resolve(response);
          },
        ),
      );
      const stopListening = cancelOnAbort(call, options);
    });
}

function clientStream(connections: Connections, method: MethodShape) {
  return async (requests: AsyncIterable<unknown>, options: ClientCallOptions): Promise<unknown> => {
    requireWanted(options);
    const { promise, resolve, reject } = deferred();
    const metadata = toMetadata(options);
    announceExplicitEnd(metadata);
    const call = connections.start((client) =>
      client.makeClientStreamRequest(
        method.path,
        (request: unknown) => (request === END ? END_MESSAGE : method.requestSerialize(request)),
        method.responseDeserialize,
        metadata,
        toCallOptions(options),
        (error, response) => (error ? reject(fromServiceError(error)) : resolve(response)),
      ),
    );
    const stopListening = cancelOnAbort(call, options);
    const sending = sendAll(call, withEnd(requests));
    sending.catch(reject);
    try {
      return await promise;
    } finally {
      stopListening();
      call.cancel();
    }
  };
}

/** Stands for END_MESSAGE among the requests. */
const END = Symbol('end');

async function* withEnd(requests: AsyncIterable<unknown>): AsyncGenerator<unknown, void, void> {
  yield* requests;
  yield END;
}

function serverStream(connections: Connections, method: MethodShape) {
  return async function* (request: unknown, options: ClientCallOptions): AsyncIterable<unknown> {
    requireWanted(options);
    const call = connections.start((client) =>
      client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        toMetadata(options),
        toCallOptions(options),
      ),
    );
    yield* answersOf(call, options);
  };
}

function bidiStream(connections: Connections, method: MethodShape) {
  return async function* (
    requests: AsyncIterable<unknown>,
    options: ClientCallOptions,
  ): AsyncIterable<unknown> {
    requireWanted(options);
    const call = connections.start((client) =>
      client.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        toMetadata(options),
        toCallOptions(options),
      ),
    );
    let failure: unknown;
    sendAll(call, requests).catch((error: unknown) => {
      failure = error;
      call.cancel();
    });
    try {
      yield* answersOf(call, options);
    } catch (error) {
      // What the caller's own requests threw ended the call.
      throw failure ?? error;
    }
  };
}

async function* answersOf(
  call: AsyncIterable<unknown> & { cancel(): void },
  options: ClientCallOptions,
): AsyncIterable<unknown> {
  const stopListening = cancelOnAbort(call, options);
  try {
    yield* call;
  } catch (error) {
    throw fromServiceError(error);
  } finally {
    stopListening();
    // A consumer that stops early must not leave the stream open.
    call.cancel();
  }
}

/** @throws the reason of a signal that has aborted already. */
function requireWanted({ signal, alsoSignal }: ClientCallOptions): void {
  signal?.throwIfAborted();
  alsoSignal?.throwIfAborted();
}

/** Cancels the call when a signal aborts. @returns what stops listening to them. */
function cancelOnAbort(
  call: { cancel(): void },
  { signal, alsoSignal }: ClientCallOptions,
): () => void {
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  alsoSignal?.addEventListener('abort', cancel, { once: true });
  return () => {
    signal?.removeEventListener('abort', cancel);
    alsoSignal?.removeEventListener('abort', cancel);
  };
}

function deferred() {
  let resolve: (value: unknown) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<unknown>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function toMetadata(options: ClientCallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

function toCallOptions(options: ClientCallOptions): CallOptions {
  return { deadline: Date.now() + options.timeoutMs };
}
