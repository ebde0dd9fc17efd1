/** One gRPC connection with its credentials: every call is a promise with a deadline. */
import { type ChannelCredentials, Client, Metadata } from '@grpc/grpc-js';
import { WrennApiError } from './error.js';

/** Time limit of a call for which neither caller nor method names one. */
const CALL_TIMEOUT_MS = 30_000;

/** What a single call may carry. */
export interface CallOptions {
  /** Time after which the call fails with DEADLINE_EXCEEDED. */
  timeoutMs?: number;
  /** Cancels the call. */
  signal?: AbortSignal;
}

/** One unary method as the generated stubs describe it. */
interface UnaryMethod<Request, Response> {
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
    this.#client = new Client(address, credentials);
    this.#metadata = new Metadata();
    if (secrets.apiKey) this.#metadata.set('x-api-key', secrets.apiKey);
    if (secrets.accessToken) this.#metadata.set('authorization', `Bearer ${secrets.accessToken}`);
  }

  /** @throws WrennApiError when the server refuses or does not answer. */
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
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

  close(): void {
    this.#client.close();
  }
}
