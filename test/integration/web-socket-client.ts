/** WebSockets as tests use them: a client that notes all it hears, and a socket that sends any bytes. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { HttpAnswer } from './gateway-fixture.js';

export const STREAM_PATH = '/v1/sandboxes/box1/exec/stream';
export const PROTOCOL = 'wrenn.v1.json';
export const START = JSON.stringify({ start: { cmd: 'cat' } });

export interface TestWebSocket {
  socket: WebSocket;
  /** The texts heard so far. */
  texts: string[];
  /** The same as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into messages of any shape
  messages(): any[];
  /** Code and reason of the end. */
  closed: Promise<{ code: number; reason: string }>;
  responseHeaders: IncomingHttpHeaders;
}

export interface OpenOptions {
  path?: string;
  protocols?: string[];
  headers?: Record<string, string>;
}

/** Opens a WebSocket; rejects with the answer (an HttpAnswer) when the server gives another one. */
export async function openWebSocket(
  { port }: { port: number },
  options: OpenOptions = {},
): Promise<TestWebSocket> {
  const { path = STREAM_PATH, protocols = [PROTOCOL], headers = {} } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers });
  const texts: string[] = [];
  socket.on('message', (data: Buffer) => texts.push(data.toString()));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  let responseHeaders: IncomingHttpHeaders = {};
  socket.once('upgrade', (response) => {
    responseHeaders = response.headers;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.on('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      toAnswer(response).then(reject, reject);
    });
  });
  const messages = () => texts.map((text) => JSON.parse(text));
  return { socket, texts, messages, closed, responseHeaders };
}

/** The answer to a request for a WebSocket that is refused. */
export async function refusalOf(
  fixture: { port: number },
  options: OpenOptions = {},
): Promise<HttpAnswer> {
  try {
    const { socket } = await openWebSocket(fixture, options);
    socket.terminate();
  } catch (answer) {
    return answer as HttpAnswer;
  }
  throw new Error('the WebSocket was not refused');
}

async function toAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { statusCode = 0, headers } = response;
  return { status: statusCode, headers, body, json: JSON.parse(body.toString()) };
}

export interface RawWebSocket {
  socket: Socket;
  /** Code and reason of the server's close frame; undefined when the connection ends without one. */
  closed: Promise<{ code: number; reason: string } | undefined>;
  received(): Buffer;
}

/** The head of a request for a WebSocket. */
export function openingHead(path = STREAM_PATH, headers: string[] = []): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'host: gateway',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
    `sec-websocket-protocol: ${PROTOCOL}`,
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Opens a connection and sends the head of a request, and these bytes with it. */
export async function openRaw(
  { port }: { port: number },
  pipelined: Buffer = Buffer.alloc(0),
  head: string = openingHead(),
): Promise<RawWebSocket> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  const received = () => Buffer.concat(chunks);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<{ code: number; reason: string } | undefined>((resolve) => {
    socket.once('close', () => resolve(closeFrameIn(framesIn(received()))));
  });
  socket.write(Buffer.concat([Buffer.from(head), pipelined]));
  await Promise.race([once(socket, 'data'), closed]);
  return { socket, closed, received };
}

export interface Frame {
  opcode: number;
  payload: Buffer;
}

/** Bytes of a frame as a client sends it, whole and masked unless told otherwise. */
export function frame(
  opcode: number,
  payload: Buffer | string,
  { isFinal = true, reserved = 0, isMasked = true, length }: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload);
  const mask = randomBytes(4);
  const head: Buffer[] = [Buffer.from([(isFinal ? 0x80 : 0) | reserved | opcode])];
  head.push(lengthField(length ?? BigInt(bytes.length), isMasked));
  if (!isMasked) return Buffer.concat([...head, bytes]);
  const masked = bytes.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([...head, mask, masked]);
}

export interface FrameOptions {
  isFinal?: boolean;
  /** The three reserved bits, in their place. */
  reserved?: number;
  isMasked?: boolean;
  /** The length to claim in place of the true one. */
  length?: bigint;
}

function lengthField(length: bigint, isMasked: boolean): Buffer {
  const bit = isMasked ? 0x80 : 0;
  if (length < 126n) return Buffer.from([bit | Number(length)]);
  const isShort = length < 65_536n;
  const field = Buffer.alloc(isShort ? 3 : 9);
  field[0] = bit | (isShort ? 126 : 127);
  if (isShort) field.writeUInt16BE(Number(length), 1);
  else field.writeBigUInt64BE(length, 1);
  return field;
}

/** The frames of a server behind its answer to the opening request. */
export function framesIn(received: Buffer): Frame[] {
  const frames: Frame[] = [];
  let rest = received.subarray(received.indexOf('\r\n\r\n') + 4);
  while (rest.length >= 2) {
    const short = (rest[1] ?? 0) & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (rest.length < start) break;
    const length =
      short === 126
        ? rest.readUInt16BE(2)
        : short === 127
          ? Number(rest.readBigUInt64BE(2))
          : short;
    if (rest.length < start + length) break;
    frames.push({ opcode: (rest[0] ?? 0) & 0x0f, payload: rest.subarray(start, start + length) });
    rest = rest.subarray(start + length);
  }
  return frames;
}

function closeFrameIn(frames: Frame[]): { code: number; reason: string } | undefined {
  const close = frames.find(({ opcode }) => opcode === 8);
  if (!close) return undefined;
  return { code: close.payload.readUInt16BE(0), reason: close.payload.subarray(2).toString() };
}
