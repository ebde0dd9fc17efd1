/** Streams of gRPC messages with back-pressure, both ways. */
import { type Readable, setDefaultHighWaterMark, type Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { Code, WrennError } from '../errors/index.js';
import { END_MESSAGE } from './explicit-end.js';

/**
 * Messages that a stream of gRPC holds in each direction before it stops its
 * other end. Node would hold 16, which for a thousand slow readers of 64 KiB
 * each is a gibibyte.
 */
const STREAM_MESSAGES_MAX = 4;

/**
 * Time after which an end of the requests is believed that its caller has not
 * made explicit (explicit-end.ts).
 */
const END_SETTLES_MS = 50;
/** Time within which a stream that was called off is reset; the call's signal then says so. */
const RESET_FOLLOWS_MS = 1000;

/** Makes every stream of messages that this process opens from now on hold few. Idempotent. */
export function boundStreamBuffers(): void {
  setDefaultHighWaterMark(true, STREAM_MESSAGES_MAX);
}

/** Waits until a stream takes more. @throws the signal's reason. */
export async function drained(stream: Writable, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await drainedOrOver(stream, signal);
  signal.throwIfAborted();
}

/** Resolves when a stream takes more or is closed, or the signal aborts, which has not yet. */
export async function drainedOrOver(stream: Writable, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

export interface MessageStream<T> {
  stream: Readable;
  /** Decodes a message. */
  read: (bytes: Buffer) => T;
  /** Whether END_MESSAGE tells the end. */
  endsExplicitly: boolean;
}

/**
 * The messages of a stream, each decoded as it is asked for. Ending early leaves
 * the stream open, so that an answer can still go the other way.
 * @throws the signal's reason, what `read` throws, and CANCELLED for a stream that breaks off.
 */
export async function* messagesOf<T>(
  { stream, read, endsExplicitly }: MessageStream<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  signal.throwIfAborted();
  const end = () => stream.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    for await (const bytes of stream.iterator({ destroyOnReturn: false })) {
      if (endsExplicitly && END_MESSAGE.equals(bytes as Buffer)) return;
      yield read(bytes as Buffer);
    }
  } catch (error) {
    // A stream that was destroyed says only that it ended too early.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
  }
  await quiet(endsExplicitly ? RESET_FOLLOWS_MS : END_SETTLES_MS, signal);
  if (endsExplicitly) throw brokenOff();
}

/** Waits. @throws the signal's reason when it aborts meanwhile. */
async function quiet(timeoutMs: number, signal: AbortSignal): Promise<void> {
  await setTimeout(timeoutMs, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

function brokenOff(): WrennError {
  return new WrennError(Code.CANCELLED, 'CANCELLED', 'the requests broke off before their end');
}
