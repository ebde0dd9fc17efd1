/** A client stream: the content of a request goes to the service piece by piece, as it takes them. */
import type { Registry } from '@bufbuild/protobuf';
import { bindRequest } from './bind-request.js';
import type { IncomingBody } from './body-stream.js';
import { encodeContent } from './http-body.js';
import type { GatewayLimits } from './limits.js';
import type { RouteMatch } from './route-table.js';
import { openUploadBody } from './upload-body.js';
import type { UpstreamStream } from './upstream-stream.js';

export interface UploadOptions {
  registry: Registry;
  limits: GatewayLimits;
  /** Opens the call, once it is known what its first message is. */
  open: () => UpstreamStream;
}

/**
 * Passes a body on and returns the one answer to it. The first message holds all
 * but the content. A body that does not end as it should never looks complete to
 * the service: its call is cancelled.
 */
export async function upload(
  match: RouteMatch,
  query: string,
  body: IncomingBody,
  { registry, limits, open }: UploadOptions,
): Promise<Buffer> {
  const { contentType, ...opened } = await openUploadBody(body, match.route, query, limits);
  try {
    const fields = { kind: 'fields', json: opened.fields, contentType } as const;
    const { bytes } = bindRequest(match, '', fields, registry);
    const stream = open();
    return await passOn(stream, messagesOf(match, bytes, opened.pieces));
  } finally {
    opened.close();
  }
}

async function* messagesOf(
  { route }: RouteMatch,
  first: Uint8Array,
  pieces: AsyncIterable<Buffer>,
): AsyncGenerator<Uint8Array> {
  const field = route.body.kind === 'raw' ? route.body.field : undefined;
  yield first;
  for await (const data of pieces) yield encodeContent(field, { contentType: '', data });
}

/** Writes until the end of the messages, or until the service has heard enough. */
async function passOn(
  stream: UpstreamStream,
  messages: AsyncIterable<Uint8Array>,
): Promise<Buffer> {
  const answer = onlyAnswer(stream);
  const written = writeAll(stream, messages);
  // Either may fail when the other has been reported already.
  answer.catch(() => undefined);
  written.catch(() => undefined);
  try {
    await Promise.race([written, answer]);
    return await answer;
  } finally {
    stream.cancel();
  }
}

async function writeAll(
  stream: UpstreamStream,
  messages: AsyncIterable<Uint8Array>,
): Promise<void> {
  for await (const message of messages) await stream.write(message);
  stream.end();
}

async function onlyAnswer({ responses }: UpstreamStream): Promise<Buffer> {
  let answer: Buffer | undefined;
  for await (const response of responses) {
    if (answer) throw new Error('the service has answered a client stream more than once');
    answer = response;
  }
  if (!answer) throw new Error('the service has ended a client stream without an answer');
  return answer;
}
