/**
 * A call whose request is read only when its guard says so. The handler of a
 * refused call runs without its request, so that the refusal is told and logged
 * like every other failure.
 */
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js';
import { Code, toServiceError, WrennError } from '../lib/errors/index.js';

export interface CallGuard {
  /**
   * Calls `read` when the request may be read, and ends when that does.
   * @throws what the caller gets instead.
   */
  receive: (metadata: Metadata, read: () => Promise<void>, signal: AbortSignal) => Promise<void>;
  /** Time for the request to arrive; undefined for one that has no end. */
  timeoutMs: number | undefined;
  /** Whether a request has arrived with its first message, and not with its end. */
  arrivesWithMessage: boolean;
  /** Lets the handler know why it has to fail; undefined when it cannot be told. */
  refuse: ((metadata: Metadata, error: unknown) => void) | undefined;
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

export class GuardedCall extends ServerInterceptingCall {
  readonly #guard: CallGuard;
  /** Aborts when the request is late, or nobody waits for its answer any more. */
  readonly #ending = new AbortController();
  #arrived: () => void = () => undefined;
  #isReading = false;
  #hasMessage = false;
  #isOver = false;

  constructor(call: ServerInterceptingCallInterface, guard: CallGuard) {
    super(call);
    this.#guard = guard;
  }

  override start(listener: Listener): void {
    super.start({
      onReceiveMetadata: (metadata) => void this.#receive(metadata, listener),
      onReceiveMessage: (message) => {
        if (this.#isOver) return;
        this.#hasMessage = true;
        if (this.#guard.arrivesWithMessage) this.#arrived();
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => {
        if (this.#isOver) return;
        this.#end();
        listener.onReceiveHalfClose();
      },
      onCancel: () => {
        this.#end();
        this.#ending.abort(new Error('the call is over'));
        listener.onCancel();
      },
    });
  }

  override startRead(): void {
    if (!this.#isOver) super.startRead();
  }

  async #receive(metadata: Metadata, listener: Listener): Promise<void> {
    const { timeoutMs, receive } = this.#guard;
    const { signal } = this.#ending;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.#ending.abort(tooSlow()), timeoutMs);
    try {
      await receive(metadata, () => this.#read(metadata, listener), signal);
    } catch (error) {
      this.#refuse(metadata, listener, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the request has arrived or will not arrive any more. */
  async #read(metadata: Metadata, listener: Listener): Promise<void> {
    const { signal } = this.#ending;
    const arrived = new Promise<void>((resolve, reject) => {
      this.#arrived = resolve;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    this.#isReading = true;
    listener.onReceiveMetadata(metadata);
    await arrived;
  }

  #refuse(metadata: Metadata, listener: Listener, error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    if (!this.#guard.refuse) {
      const { code = Code.INTERNAL, details = '', metadata: trailer } = toServiceError(error);
      this.sendStatus({ code, details, metadata: trailer ?? null });
      return;
    }
    this.#guard.refuse(metadata, error);
    if (!this.#isReading) listener.onReceiveMetadata(metadata);
    if (!this.#hasMessage) listener.onReceiveMessage(Buffer.alloc(0));
    listener.onReceiveHalfClose();
  }

  #end(): void {
    this.#isOver = true;
    this.#arrived();
  }
}

function tooSlow(): WrennError {
  return new WrennError(
    Code.DEADLINE_EXCEEDED,
    'CANCELLED',
    'the request did not arrive in time; send it at once',
  );
}
