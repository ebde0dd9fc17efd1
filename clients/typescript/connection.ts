/** One gRPC connection with its credentials, and the four kinds of calls on it. */
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  Metadata,
  type CallOptions as RpcOptions,
} from '@grpc/grpc-js';
import { WrennApiError } from './error.js';
import { Answers, Requests } from './streams.js';

/** Time limit of a call for which neither caller nor method names one; streams have none. */
const CALL_TIMEOUT_MS = 30_000;
/** A stream may be silent for hours; these find out that its server is gone. */
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/**
 * Node's HTTP/2 client calls a stream off by ending it and resetting it a moment
 * later. So that half an upload is never taken for a whole one, this metadata
 * says that the requests end with a message of its own.
 */
const EXPLICIT_END_KEY = 'wrenn-explicit-end';
/** That message: the highest field number, which no contract has, with the value 1. */
const END_MESSAGE = Buffer.of(0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01);
/** Stands for it among the requests. */
const END = Symbol('end');

/** What a single call may carry. */
export interface CallOptions {
  /** Time after which the call, a stream too, fails with DEADLINE_EXCEEDED. */
  timeoutMs?: number;
  /** Cancels the call. */
  signal?: AbortSignal;
}

/** One method as the generated stubs describe it. */
export interface Method<Request, Response> {
  path: string;
  requestSerialize: (request: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

export class Connection {
  readonly #client: Client;
  readonly #metadata: Metadata;

  constructor(
    address: string,
    credentials: ChannelCredentials,
    secrets: { apiKey?: string | undefined; accessToken?: string | undefined },
  ) {
    this.#client = new Client(address, credentials, {
      'grpc.keepalive_time_ms': KEEPALIVE_INTERVAL_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    });
    this.#metadata = new Metadata();
    if (secrets.apiKey) this.#metadata.set('x-api-key', secrets.apiKey);
    if (secrets.accessToken) this.#metadata.set('authorization', `Bearer ${secrets.accessToken}`);
  }

  /** @throws WrennApiError when the server refuses or does not answer. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata,
        { deadline: Date.now() + (options.timeoutMs ?? CALL_TIMEOUT_MS) },
        (error, response) => {
          options.signal?.removeEventListener('abort', cancel);
          if (error) reject(WrennApiError.from(error));
          else resolve(response as Response);
        },
      );
      const cancel = () => call.cancel();
      options.signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /**
   * A stream of answers; the call is made when it is read.
   * @throws WrennApiError while it is read.
   */
  async *read<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): AsyncGenerator<Response, void, void> {
    options.signal?.throwIfAborted();
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      this.#metadata,
      streamOptions(options),
    );
    yield* new Answers<Response>(call, options.signal);
  }

  /**
   * A stream of requests, sent as fast as the server takes them, and its answer.
   * @throws WrennApiError when the server refuses, and what the requests throw.
   */
  async write<Request, Response>(
    method: Method<Request, Response>,
    requests: AsyncIterable<Request>,
    options: CallOptions = {},
  ): Promise<Response> {
    options.signal?.throwIfAborted();
    const { promise, resolve, reject } = deferred<Response>();
    const metadata = this.#metadata.clone();
    metadata.set(EXPLICIT_END_KEY, '1');
    const call = this.#client.makeClientStreamRequest<Request | typeof END, Response>(
      method.path,
      (request) => (request === END ? END_MESSAGE : method.requestSerialize(request)),
      method.responseDeserialize,
      metadata,
      streamOptions(options),
      (error, response) =>
        error ? reject(WrennApiError.from(error)) : resolve(response as Response),
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    sendAll(new Requests<Request | typeof END>(call), requests).catch(reject);
    try {
      return await promise;
    } finally {
      options.signal?.removeEventListener('abort', cancel);
      // Requests that fail must not look like the end of what was to be sent.
      cancel();
    }
  }

  /** A stream in both directions. */
  open<Request, Response>(
    method: Method<Request, Response>,
    options: CallOptions = {},
  ): ClientDuplexStream<Request, Response> {
    options.signal?.throwIfAborted();
    return this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      this.#metadata,
      streamOptions(options),
    );
  }

  close(): void {
    this.#client.close();
  }
}

async function sendAll<T>(
  target: Requests<T | typeof END>,
  requests: AsyncIterable<T>,
): Promise<void> {
  for await (const request of requests) {
    await target.write(request);
    if (target.isOver) return;
  }
  await target.write(END);
  target.end();
}

function streamOptions({ timeoutMs = Number.POSITIVE_INFINITY }: CallOptions): RpcOptions {
  return { deadline: Date.now() + timeoutMs };
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
