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
import type { MethodShape, RequestOf, ResponseOf, ServiceShape } from './method.js';

export interface ClientCallOptions {
  /** Time after which the call ends with DEADLINE_EXCEEDED. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  metadata?: Record<string, string>;
}

export type RpcClient<S extends ServiceShape> = {
  [K in keyof S]: S[K]['responseStream'] extends true
    ? (request: RequestOf<S[K]>, options: ClientCallOptions) => AsyncIterable<ResponseOf<S[K]>>
    : (request: RequestOf<S[K]>, options: ClientCallOptions) => Promise<ResponseOf<S[K]>>;
} & { close(): void };

/** Makes a client. It connects at the first call. */
export function createClient<S extends ServiceShape>(
  definition: S,
  address: string,
  credentials: ChannelCredentials,
  channelOptions: ChannelOptions = {},
): RpcClient<S> {
  const client = new Client(address, credentials, channelOptions);
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    method.responseStream ? serverStream(client, method) : unary(client, method),
  ]);
  return { ...Object.fromEntries(methods), close: () => client.close() } as RpcClient<S>;
}

function unary(client: Client, method: MethodShape) {
  return (request: unknown, options: ClientCallOptions): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (options.signal?.aborted) {
        reject(options.signal.reason);
        return;
      }
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        toMetadata(options),
        toCallOptions(options),
        (error, response) => {
          options.signal?.removeEventListener('abort', cancel);
          if (error) reject(fromServiceError(error));
          else resolve(response);
        },
      );
      const cancel = () => call.cancel();
      options.signal?.addEventListener('abort', cancel, { once: true });
    });
}

function serverStream(client: Client, method: MethodShape) {
  return async function* (request: unknown, options: ClientCallOptions): AsyncIterable<unknown> {
    options.signal?.throwIfAborted();
    const call = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      toMetadata(options),
      toCallOptions(options),
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    try {
      yield* call;
    } catch (error) {
      throw fromServiceError(error);
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      // A consumer that stops early must not leave the stream open.
      call.cancel();
    }
  };
}

function toMetadata(options: ClientCallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

function toCallOptions(options: ClientCallOptions): CallOptions {
  return { deadline: Date.now() + options.timeoutMs };
}
