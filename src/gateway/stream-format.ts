/**
 * How the messages of a stream stand in a body: as lines of JSON (NDJSON), or as
 * events of the HTML standard (SSE) for a caller that accepts those.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { JsonValue } from '@bufbuild/protobuf';

export interface StreamFormat {
  contentType: string;
  message(json: JsonValue): Buffer;
  /** The end of a stream that failed, as the JSON of google.rpc.Status. */
  failure(status: JsonValue): Buffer;
  /** What tells a caller, and every proxy on the way, that a quiet stream lives. */
  keepAlive: Buffer | undefined;
}

const EVENT_STREAM_TYPE = 'text/event-stream';
const LOWEST_WEIGHT = /;\s*q=0(?:\.0*)?\s*(?:;|$)/i;

const LINES: StreamFormat = {
  contentType: 'application/x-ndjson',
  message: (json) => line({ result: json }),
  failure: (status) => line({ error: status }),
  keepAlive: undefined,
};

const EVENTS: StreamFormat = {
  contentType: EVENT_STREAM_TYPE,
  message: (json) => event('message', json),
  failure: (status) => event('error', status),
  keepAlive: Buffer.from(': keep-alive\n\n'),
};

/** The format that the caller accepts. */
export function streamFormatOf({ accept = '' }: IncomingHttpHeaders): StreamFormat {
  const takesEvents = accept
    .split(',')
    .map((range) => range.trim())
    .filter((range) => !LOWEST_WEIGHT.test(range))
    .some((range) => range.split(';')[0]?.trim().toLowerCase() === EVENT_STREAM_TYPE);
  return takesEvents ? EVENTS : LINES;
}

function line(json: JsonValue): Buffer {
  return Buffer.from(`${JSON.stringify(json)}\n`);
}

/** JSON.stringify writes no line break, so the data is one line. */
function event(name: string, json: JsonValue): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(json)}\n\n`);
}
