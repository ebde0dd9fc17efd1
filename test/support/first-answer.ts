/** An answer over HTTP; of a stream that goes on, its first lines. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Json } from './openapi.js';

const TIMEOUT_MS = 20_000;

export interface FirstAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** Of JSON its value, of a stream of JSON the values of its whole lines. */
  json: Json;
}

export interface AskedFor {
  method: string;
  target: string;
  headers: Record<string, string>;
  body: string | undefined;
}

export function answerOf(
  port: number,
  { method, target: path, headers, body }: AskedFor,
): Promise<FirstAnswer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const options = { host: '127.0.0.1', port, method, path, agent: false, signal };
    const outgoing = request({ ...options, headers: { ...headers, ...length } });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      read(response).then(resolve, reject);
    });
    outgoing.end(body);
  });
}

async function read(response: IncomingMessage): Promise<FirstAnswer> {
  const { headers, statusCode: status = 0 } = response;
  const isStream = headers['content-type'] === 'application/x-ndjson';
  let body = '';
  for await (const chunk of response) {
    body += String(chunk);
    if (isStream && body.includes('\n')) break;
  }
  const lines = body
    .slice(0, body.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean);
  const isJson = headers['content-type'] === 'application/json';
  return {
    status,
    headers,
    body,
    json: isStream ? lines.map((line) => JSON.parse(line)) : isJson ? JSON.parse(body) : undefined,
  };
}
