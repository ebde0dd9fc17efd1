/**
 * The answer of a server stream: its messages as JSON, or the bytes of a stream
 * of google.api.HttpBody. It is read from the service as the client takes it.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import type { Registry } from '@bufbuild/protobuf';
import type { Status } from '../../gen/ts/google/rpc/status.js';
import { decodeContent } from './http-body.js';
import { responseJson, statusJson } from './response.js';
import type { Route } from './route-table.js';
import { streamFormatOf } from './stream-format.js';

export interface StreamAnswer {
  contentType: string;
  /** The body, piece by piece. */
  pieces: AsyncIterable<Buffer>;
  /** The last piece, which tells of an error; absent where only a cut connection can. */
  failurePiece?: (status: Status) => Buffer;
  /** Sent when nothing else was for a while. */
  keepAlive?: Buffer | undefined;
}

const EMPTY_TYPE = 'application/octet-stream';

/**
 * The answer for the messages of a call. Rejects with the error of a call that
 * fails before its first message, so that it is answered like any other, unless
 * there is none for `quietMs`.
 */
export async function streamAnswer(
  route: Route,
  responses: AsyncIterable<Buffer>,
  headers: IncomingHttpHeaders,
  { registry, quietMs }: { registry: Registry; quietMs: number },
): Promise<StreamAnswer> {
  const messages = responses[Symbol.asyncIterator]();
  const first = messages.next();
  if (route.response.kind === 'raw') return rawAnswer(route.response.field, await first, messages);
  await firstOrPatience(first, quietMs);
  const format = streamFormatOf(headers);
  return {
    contentType: format.contentType,
    pieces: map(first, messages, (bytes) => format.message(responseJson(route, bytes, registry))),
    failurePiece: (status) => format.failure(statusJson(status, registry)),
    keepAlive: format.keepAlive,
  };
}

function rawAnswer(
  field: Parameters<typeof decodeContent>[0],
  first: IteratorResult<Buffer>,
  messages: AsyncIterator<Buffer>,
): StreamAnswer {
  const contentType = first.done ? EMPTY_TYPE : decodeContent(field, first.value).contentType;
  const pieces = map(Promise.resolve(first), messages, (bytes) => decodeContent(field, bytes).data);
  return { contentType, pieces };
}

/** A stream that has nothing to say yet is open all the same, and its client should know. */
async function firstOrPatience(first: Promise<unknown>, quietMs: number): Promise<void> {
  const patience = new AbortController();
  const timer = setTimeout(quietMs, undefined, { signal: patience.signal });
  // Whoever reads the pieces gets the error of a first message that comes later.
  first.catch(() => undefined);
  timer.catch(() => undefined);
  try {
    await Promise.race([first, timer]);
  } finally {
    patience.abort();
  }
}

async function* map(
  first: Promise<IteratorResult<Buffer>>,
  messages: AsyncIterator<Buffer>,
  toPiece: (bytes: Buffer) => Buffer,
): AsyncGenerator<Buffer> {
  try {
    for (let next = await first; !next.done; next = await messages.next()) {
      yield toPiece(next.value);
    }
  } finally {
    await messages.return?.();
  }
}
