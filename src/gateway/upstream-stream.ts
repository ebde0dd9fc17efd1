/**
 * One streaming call to a service, of any kind, as bytes in both directions.
 * Nothing is read ahead of its reader or written ahead of the service beyond
 * what HTTP/2 and the channel's small buffer hold.
 */
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';

/** Messages that go to a service, and those that come back. */
export interface UpstreamStream {
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
): UpstreamStream {
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const outcome = outcomeOf(call);
  outcome.finally(() => signal.removeEventListener('abort', cancel)).catch(() => undefined);
  return {
    write: (bytes) => Promise.race([written(call, bytes), outcome]),
    end: () => {
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

/** grpc-js calls back when the connection took the message, and never for a call that is over. */
function written(call: ClientDuplexStream<Buffer, Buffer>, bytes: Uint8Array): Promise<void> {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new Promise((resolve) => {
    call.write(message, () => resolve());
  });
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
