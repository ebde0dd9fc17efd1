/** Messages of streaming calls, with back-pressure both ways. */
import type { Readable, Writable } from 'node:stream';
import type { ServiceError } from '@grpc/grpc-js';
import { WrennApiError } from './error.js';

/** A call that is read as a stream. */
export type ReadableCall = Readable & { cancel(): void };

/**
 * Reads the answers of a call. It has to be made as soon as the call is, so that
 * no failure goes unnoticed. A consumer that stops early ends the call.
 */
export class Answers<T> implements AsyncIterable<T> {
  readonly #call: ReadableCall;
  readonly #signal: AbortSignal | undefined;
  #failure: ServiceError | undefined;

  constructor(call: ReadableCall, signal?: AbortSignal) {
    this.#call = call;
    this.#signal = signal;
    call.on('error', (error) => {
      this.#failure ??= error as ServiceError;
    });
  }

  /** @throws WrennApiError when the server refuses, or the connection breaks. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const cancel = () => this.#call.cancel();
    this.#signal?.addEventListener('abort', cancel, { once: true });
    try {
      yield* this.#call as AsyncIterable<T>;
    } catch (error) {
      throw WrennApiError.from(this.#failure ?? (error as ServiceError));
    } finally {
      this.#signal?.removeEventListener('abort', cancel);
      cancel();
    }
    // A call that had failed before anybody read it ends without a word.
    if (this.#failure) throw WrennApiError.from(this.#failure);
  }
}

/** Writes the requests of a call, as fast as the server takes them. */
export class Requests<T> {
  readonly #call: Writable;
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(call: Writable) {
    this.#call = call;
    const end = () => {
      this.#isOver = true;
      this.#wake();
    };
    call.on('error', end);
    call.once('close', end);
    call.once('status', end);
    call.on('drain', () => this.#wake());
  }

  /** Whether the call takes no more; its answer says why. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when the call takes more, or is over. One at a time. */
  async write(request: T): Promise<void> {
    if (this.#isOver || this.#call.write(request)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Says that no more follow. */
  end(): void {
    if (!this.#isOver) this.#call.end();
  }
}

/** The bytes in pieces of at most `bytesMax`. */
export function* piecesOf(bytes: Uint8Array, bytesMax: number): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += bytesMax) {
    yield Buffer.from(bytes.subarray(from, from + bytesMax));
  }
}
