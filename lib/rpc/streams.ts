/** Streams of gRPC messages with back-pressure, both ways. */
import { type Readable, setDefaultHighWaterMark, type Writable } from 'node:stream';

/**
 * Messages that a stream of gRPC holds in each direction before it stops its
 * other end. Node would hold 16, which for a thousand slow readers of 64 KiB
 * each is a gibibyte.
 */
const STREAM_MESSAGES_MAX = 4;

/** Makes every stream of this process hold few messages; called first in a daemon's main. */
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
  signal.throwIfAborted();
}
