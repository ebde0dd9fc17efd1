/** Streams of gRPC messages with back-pressure, both ways. */
import { type Readable, setDefaultHighWaterMark, type Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';

/**
 * Messages that a stream of gRPC holds in each direction before it stops its
 * other end. Node would hold 16, which for a thousand slow readers of 64 KiB
 * each is a gibibyte.
 */
const STREAM_MESSAGES_MAX = 4;

/**
 * Time after which the end of the requests is believed. Node's HTTP/2 client
 * calls a stream off by ending it and resetting it right after; half a file must
 * not be taken for a whole one in between.
 */
const END_SETTLES_MS = 20;

/** Makes every stream of messages that this process opens from now on hold few. Idempotent. */
export function boundStreamBuffers(): void {
  setDefaultHighWaterMark(true, STREAM_MESSAGES_MAX);
}

/** Waits until a stream takes more. @throws the signal's reason. */
export async function drained(stream: Writable, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
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
  signal.throwIfAborted();
}

/**
 * The messages of a stream, each read by `read` as it is asked for. Ending early
 * leaves the stream open, so that an answer can still go the other way.
 * @throws the signal's reason, and what `read` throws.
 */
export async function* messagesOf<T>(
  stream: Readable,
  read: (bytes: Buffer) => T,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  signal.throwIfAborted();
  const end = () => stream.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    for await (const bytes of stream.iterator({ destroyOnReturn: false })) {
      yield read(bytes as Buffer);
    }
  } catch (error) {
    // A stream that was destroyed says only that it ended too early.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
  }
  await setTimeout(END_SETTLES_MS);
  signal.throwIfAborted();
}
