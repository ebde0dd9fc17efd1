/** Streams of requests whose first message says what the others are about. */
import { Code, WrennError } from '../../lib/errors/index.js';

/** Time for the first message to arrive: until then nobody counts the stream. */
export const FIRST_MESSAGE_TIMEOUT_MS = 30_000;

export interface Opened<T> {
  first: T;
  /** All messages, the first one included. */
  all: AsyncIterable<T>;
}

/**
 * Waits for the first message, which must name a sandbox.
 * @throws INVALID_REQUEST; CANCELLED when it does not come in time.
 */
export async function openRequests<T extends { sandboxId: string }>(
  requests: AsyncIterable<T>,
): Promise<Opened<T>> {
  const iterator = requests[Symbol.asyncIterator]();
  const { done, value: first } = await soon(iterator.next());
  if (done) throw invalid('sandbox_id', 'the stream ended before its first message');
  if (first.sandboxId === '') throw invalid('sandbox_id', 'the first message names the sandbox');
  return { first, all: withFirst(first, iterator) };
}

async function soon<T>(first: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate()), FIRST_MESSAGE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([first, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(): WrennError {
  const message = `no message within ${FIRST_MESSAGE_TIMEOUT_MS / 1000} s`;
  return new WrennError(Code.DEADLINE_EXCEEDED, 'CANCELLED', message);
}

async function* withFirst<T>(first: T, rest: AsyncIterator<T>): AsyncGenerator<T, void, void> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

function invalid(field: string, description: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `${field}: ${description}`, {
    violations: [{ field, description, rule: 'stream.first' }],
  });
}
