/**
 * Calls into one guest: the connections on which they are made, what every one
 * of them carries, and their errors in terms of ours. Calls and long streams
 * have a connection each, so that no stream keeps a call waiting.
 */
import { setMaxListeners } from 'node:events';
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import { RESETS_MAX } from '../../lib/rpc/connections.js';
import { createConnection, type GuestConnection } from './guest-connection.js';
import { fromGuest, guestUnreachable } from './guest-error.js';

/**
 * Largest message of a stream, twice a piece of a file. Some wait in the agent for a caller who does
 * not read, and a guest must not choose how much that is.
 */
const STREAM_MESSAGE_BYTES_MAX = 128 * 1024;

/** A connection for streams: how many it has carried, any of which may be called off, and has open. */
interface StreamConnection {
  connection: GuestConnection;
  carried: number;
  open: number;
}

export class GuestCalls {
  readonly #target: string;
  readonly #token: string;
  readonly #closing = new AbortController();
  #calls: GuestConnection | undefined;
  #streams: StreamConnection | undefined;
  readonly #retired = new Set<StreamConnection>();

  /** Does not connect yet. */
  constructor(target: string, token: string) {
    this.#target = target;
    this.#token = token;
    // As many listen as there are calls.
    setMaxListeners(0, this.#closing.signal);
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
    const { connection, release } = this.#holdStreams();
    try {
      return await call(connection);
    } catch (error) {
      throw this.#translate(error, signal);
    } finally {
      release();
    }
  }

  /** Opens a stream. @throws WrennError */
  async *stream<T>(
    signal: AbortSignal,
    open: (connection: GuestConnection) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, void> {
    const { connection, release } = this.#holdStreams();
    try {
      yield* open(connection);
    } catch (error) {
      throw this.#translate(error, signal);
    } finally {
      release();
    }
  }

  /** Options of a call with this guest's token, or another one. */
  options(timeoutMs: number, signal: AbortSignal, token = this.#token): ClientCallOptions {
    const metadata = token === '' ? {} : { [ENVD_TOKEN_KEY]: token };
    return { timeoutMs, signal, alsoSignal: this.#closing.signal, metadata };
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
    for (const { connection } of this.#retired) connection.close();
    this.#retired.clear();
    this.#streams?.connection.close();
    this.#streams = undefined;
  }

  /** Many streams that are called off would end a connection with all others on it: see RESETS_MAX. */
  #holdStreams(): { connection: GuestConnection; release: () => void } {
    if (this.#closing.signal.aborted) throw closedError();
    if (this.#streams && this.#streams.carried >= RESETS_MAX) {
      this.#retired.add(this.#streams);
      this.#closeIfDone(this.#streams);
      this.#streams = undefined;
    }
    this.#streams ??= {
      connection: createConnection(this.#target, STREAM_MESSAGE_BYTES_MAX),
      ...{ carried: 0, open: 0 },
    };
    const held = this.#streams;
    held.carried += 1;
    held.open += 1;
    const release = () => {
      held.open -= 1;
      this.#closeIfDone(held);
    };
    return { connection: held.connection, release };
  }

  #closeIfDone(held: StreamConnection): void {
    if (held.open === 0 && this.#retired.delete(held)) held.connection.close();
  }

  #translate(error: unknown, signal: AbortSignal): unknown {
    if (this.#closing.signal.aborted && !signal.aborted) return closedError(error);
    return fromGuest(error, signal);
  }
}

function closedError(cause?: unknown) {
  return guestUnreachable('the sandbox is being stopped', cause);
}
