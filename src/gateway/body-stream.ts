/** The body of a request as it arrives, counted against the route's limit and the gateway's. */
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

/** Whether the headers announce a body. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > 0;
}

/** The chunks of a body; throws RESOURCE_EXHAUSTED at the first byte over the limit. */
export async function* bodyChunks(body: IncomingBody, limitBytes: number): AsyncGenerator<Buffer> {
  const { request, admitted, invite } = body;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limitBytes) throw bodyTooLarge(limitBytes);
  invite();
  let received = 0;
  // A refusal must be answered on this connection, so the iterator must not destroy it.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of chunks) {
    received += chunk.length;
    if (received > limitBytes) throw bodyTooLarge(limitBytes);
    admitted.hold(chunk.length);
    yield chunk;
  }
}

/** A whole body of at most `limitBytes`. */
export async function readBody(body: IncomingBody, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bodyChunks(body, limitBytes)) chunks.push(chunk);
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
