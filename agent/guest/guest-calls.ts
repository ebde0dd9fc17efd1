/**
 * Calls into one guest: the connections on which they are made, what every one
 * of them carries, and their errors in terms of ours. Calls and long streams
 * have a connection each, so that no stream keeps a call waiting.
 */
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import { createConnection, type GuestConnection } from './guest-connection.js';
import { fromGuest, guestUnreachable } from './guest-error.js';

export class GuestCalls {
  readonly #target: string;
  readonly #token: string;
  readonly #closing = new AbortController();
  #calls: GuestConnection | undefined;
  #streams: GuestConnection | undefined;

  /** Does not connect yet. */
  constructor(target: string, token: string) {
    this.#target = target;
    this.#token = token;
  }

  /** Makes a call. @throws WrennError */
  async call<T>(
    signal: AbortSignal,
    call: (connection: GuestConnection) => Promise<T>,
  ): Promise<T> {
    if (this.#closing.signal.aborted) throw closedError();
    this.#calls ??= createConnection(this.#target);
    try {
      return await call(this.#calls);
    } catch (error) {
      throw this.#translate(error, signal);
    }
  }

  /** Makes a call that uploads, on the connection of the streams. @throws WrennError */
  async upload<T>(
    signal: AbortSignal,
    call: (connection: GuestConnection) => Promise<T>,
  ): Promise<T> {
    const connection = this.#openStreams();
    try {
      return await call(connection);
    } catch (error) {
      throw this.#translate(error, signal);
    }
  }

  /** Opens a stream. @throws WrennError */
  async *stream<T>(
    signal: AbortSignal,
    open: (connection: GuestConnection) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, void> {
    const connection = this.#openStreams();
    try {
      yield* open(connection);
    } catch (error) {
      throw this.#translate(error, signal);
    }
  }

  /** Options of a call with this guest's token, or another one. */
  options(timeoutMs: number, signal: AbortSignal, token = this.#token): ClientCallOptions {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    return { timeoutMs, signal: either, metadata: token === '' ? {} : { [ENVD_TOKEN_KEY]: token } };
  }

  get token(): string {
    return this.#token;
  }

  /** Takes a connection for its calls in place of the one that it has. @throws when it is closed. */
  use(connection: GuestConnection): void {
    if (this.#closing.signal.aborted) {
      connection.close();
      throw closedError();
    }
    this.#calls?.close();
    this.#calls = connection;
  }

  /** Ends its connection for calls; the next call opens another. */
  disconnect(): void {
    this.#calls?.close();
    this.#calls = undefined;
  }

  /** Ends the connections and all calls on them. Idempotent. */
  close(): void {
    // A connection that is closed waits for its calls, and a guest that is gone ends none.
    this.#closing.abort();
    this.disconnect();
    this.#streams?.close();
    this.#streams = undefined;
  }

  #openStreams(): GuestConnection {
    if (this.#closing.signal.aborted) throw closedError();
    this.#streams ??= createConnection(this.#target);
    return this.#streams;
  }

  #translate(error: unknown, signal: AbortSignal): unknown {
    if (this.#closing.signal.aborted && !signal.aborted) return closedError(error);
    return fromGuest(error, signal);
  }
}

function closedError(cause?: unknown) {
  return guestUnreachable('the sandbox is being stopped', cause);
}
