/**
 * The body of a request as it arrives: a bounded one, counted against the
 * route's limit and the gateway's and given some time as a whole, or one of any
 * length, which nobody keeps and which has to make progress.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { AdmittedRequest } from './admission.js';

/** A request whose body is about to be read. */
export interface IncomingBody {
  request: IncomingMessage;
  admitted: AdmittedRequest;
  /** Tells a client that waits for it (`Expect: 100-continue`) to send the body. */
  invite: () => void;
}

/** What a bounded body may be. */
export interface BodyBound {
  bytesMax: number;
  /** Time for all of it to arrive. */
  timeoutMs: number;
}

/** A body that did not arrive in time. */
export class SlowBodyError extends WrennError {
  constructor() {
    super(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'the body does not arrive in time');
  }
}

/** Whether the headers announce a body. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > 0;
}

/** The chunks of a body; throws RESOURCE_EXHAUSTED at the first byte over the bound. */
export async function* bodyChunks(body: IncomingBody, bound: BodyBound): AsyncGenerator<Buffer> {
  const { request, admitted, invite } = body;
  const { bytesMax, timeoutMs } = bound;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > bytesMax) throw bodyTooLarge(bytesMax);
  invite();
  const endsAt = performance.now() + timeoutMs;
  let received = 0;
  for await (const chunk of arrivals(request, () => endsAt - performance.now())) {
    received += chunk.length;
    if (received > bytesMax) throw bodyTooLarge(bytesMax);
    admitted.hold(chunk.length);
    yield chunk;
  }
}

/** The chunks of a body of any length; each may take as long as `patienceMs` says when it is awaited. */
export async function* endlessChunks(
  { request, invite }: IncomingBody,
  patienceMs: () => number,
): AsyncGenerator<Buffer> {
  invite();
  yield* arrivals(request, patienceMs);
}

/** A whole body of at most that many bytes. */
export async function readBody(body: IncomingBody, bound: BodyBound): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bodyChunks(body, bound)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The refusal of a body that is larger than may be. */
export function bodyTooLarge(limitBytes: number): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'BODY_TOO_LARGE',
    `the body is larger than ${limitBytes} bytes`,
    { metadata: { limit_bytes: String(limitBytes) } },
  );
}

/** Chunks as they come. Only the time that the client lets us wait counts. */
async function* arrivals(
  request: IncomingMessage,
  timeLeftMs: () => number,
): AsyncGenerator<Buffer> {
  // A refusal must be answered on this connection, so the iterator must not destroy it.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  let isStalled = false;
  try {
    for (;;) {
      const next = await within(chunks.next(), timeLeftMs()).catch((error: unknown) => {
        isStalled = error instanceof SlowBodyError;
        throw error;
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // While it waits for a chunk that does not come it would not return.
    if (!isStalled) await chunks.return?.();
  }
}

function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new SlowBodyError()), Math.max(0, timeoutMs));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
