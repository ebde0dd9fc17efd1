/**
 * One streaming call to a service, of any kind, as bytes in both directions.
 * Nothing is read ahead of its reader or written ahead of the service beyond
 * what HTTP/2 and the channel's small buffer hold.
 */
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { END_MESSAGE } from '../../lib/rpc/explicit-end.js';

/** Messages that go to a service, and those that come back. */
export interface UpstreamStream {
  /**
   * Resolves when the service has let the caller in, which it says before its
   * first answer. Rejects with the ServiceError of a call that ends before.
   */
  admitted: Promise<void>;
  /**
   * Sends one message; resolves when there is room for the next. Rejects with the
   * ServiceError of a call that has failed; what is written to one that has ended
   * well is dropped.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Says that no further message comes. */
  end(): void;
  /**
   * The answers, read one at a time; can be iterated once. Throws the
   * ServiceError of a call that fails. Leaving early cancels the call.
   */
  responses: AsyncIterable<Buffer>;
  /** Ends the call at once; does nothing when it has ended. */
  cancel(): void;
}

/** Wraps a call of grpc-js, which aborts with the signal. */
export function toUpstreamStream(
  call: ClientDuplexStream<Buffer, Buffer>,
  signal: AbortSignal,
  endsExplicitly: boolean,
): UpstreamStream {
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const outcome = outcomeOf(call);
  outcome.finally(() => signal.removeEventListener('abort', cancel)).catch(() => undefined);
  const admitted = admissionOf(call, outcome);
  admitted.catch(() => undefined);
  return {
    admitted,
    write: writerOf(call, outcome),
    end: () => {
      if (endsExplicitly) call.write(END_MESSAGE);
      call.end();
    },
    responses: responsesOf(call, outcome),
    cancel,
  };
}

/** Settles once: when the call has ended, well or not. */
function outcomeOf(call: ClientDuplexStream<Buffer, Buffer>): Promise<void> {
  return new Promise((resolve, reject) => {
    // grpc-js says both of a call that fails, the error first.
    call.once('status', () => resolve());
    call.on('error', (error: ServiceError) => reject(error));
  });
}

function admissionOf(
  call: ClientDuplexStream<Buffer, Buffer>,
  outcome: Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    call.once('metadata', () => resolve());
    outcome.then(resolve, reject);
  });
}

/**
 * grpc-js calls back when the connection took the message, and never for a call
 * that is over. Who waits stands in a set: a promise of the outcome that each
 * write hung itself on would keep them all until the end of the call.
 */
function writerOf(
  call: ClientDuplexStream<Buffer, Buffer>,
  outcome: Promise<void>,
): UpstreamStream['write'] {
  const waiting = new Set<() => void>();
  let isOver = false;
  const release = () => {
    isOver = true;
    for (const settle of waiting) settle();
  };
  outcome.then(release, release);
  return (bytes) => {
    if (isOver) return outcome;
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Promise((resolve) => {
      const settle = () => {
        waiting.delete(settle);
        resolve(isOver ? outcome : undefined);
      };
      waiting.add(settle);
      call.write(message, settle);
    });
  };
}

async function* responsesOf(
  call: ClientDuplexStream<Buffer, Buffer>,
  outcome: Promise<void>,
): AsyncGenerator<Buffer> {
  try {
    for await (const message of call) yield message as Buffer;
    // An error that came before anybody read looks like a plain end to the reader.
    await outcome;
  } finally {
    call.cancel();
  }
}
