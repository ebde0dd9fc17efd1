/** Ways by which bytes go out of a sandbox and into it, each timed. */
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { StreamReadFileRequest, StreamWriteFileRequest } from '../gen/ts/wrenn/v1/file.js';
import { atAgent, type Command, throughApi, timeOfOutput } from './conversations.js';
import type { AgentClient, BenchPlatform } from './platform.js';

const TRANSFER_TIMEOUT_MS = 600_000;
const UPLOAD_PIECE_BYTES = 128 * 1024;
/** Prints without end, in a real guest as in a fake one. */
const YES: Command = { cmd: 'yes' };

export const DOWNLOAD_PATH = '/tmp/download';
export const UPLOAD_PATH = '/tmp/upload';

/** Each returns milliseconds for so many bytes. */
export interface Throughput {
  /** Counted from the first piece of a program's output, which is not one of them. */
  output?: (bytes: number, signal: AbortSignal) => Promise<number>;
  /** Of a file that is there, from the first piece too when it has no end. */
  download: (bytes: number, signal: AbortSignal) => Promise<number>;
  /** Until it is known that the file is there. */
  upload: (pieces: Iterable<Buffer>, signal: AbortSignal) => Promise<number>;
}

/** Content that no layer can make small. */
export function piecesOf(content: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let from = 0; from < content.length; from += UPLOAD_PIECE_BYTES) {
    pieces.push(content.subarray(from, from + UPLOAD_PIECE_BYTES));
  }
  return pieces;
}

export function agentThroughput(agent: AgentClient, sandboxId: string): Throughput {
  const conversations = atAgent(agent, sandboxId);
  return {
    output: (bytes, signal) => timeOfOutput(conversations, YES, bytes, signal),
    download: (bytes, signal) => {
      const request = StreamReadFileRequest.create({ sandboxId, path: DOWNLOAD_PATH });
      const options = { timeoutMs: TRANSFER_TIMEOUT_MS, signal };
      return timeOfBodies(agent.streamReadFile(request, options), bytes);
    },
    upload: async (pieces, signal) => {
      const startedAt = performance.now();
      const options = { timeoutMs: TRANSFER_TIMEOUT_MS, signal };
      await agent.streamWriteFile(toRequests(sandboxId, pieces), options);
      return performance.now() - startedAt;
    },
  };
}

export function apiThroughput({ client }: BenchPlatform, sandboxId: string): Throughput {
  const conversations = throughApi(client, sandboxId);
  const { files } = client;
  return {
    output: (bytes, signal) => timeOfOutput(conversations, YES, bytes, signal),
    download: (bytes, signal) =>
      timeOfPieces(files.readStream(sandboxId, DOWNLOAD_PATH, { signal }), bytes),
    upload: async (pieces, signal) => {
      const startedAt = performance.now();
      await files.writeStream(sandboxId, UPLOAD_PATH, Readable.from(pieces), {}, { signal });
      return performance.now() - startedAt;
    },
  };
}

/** Raw bytes; output has no raw form over HTTP. */
export function httpThroughput(platform: BenchPlatform, sandboxId: string): Throughput {
  const base = `http://${platform.httpAddress}/v1/sandboxes/${sandboxId}/files`;
  const headers = { 'x-api-key': platform.apiKey, 'content-type': 'application/octet-stream' };
  const send = (method: string, url: string, signal: AbortSignal) =>
    request(url, { method, headers, signal, agent: false });
  return {
    download: async (bytes, signal) => {
      const call = send('GET', `${base}/content?path=${DOWNLOAD_PATH}`, signal);
      const startedAt = performance.now();
      const answered = answerTo(call);
      call.end();
      await timeOfPieces(await answered, bytes);
      return performance.now() - startedAt;
    },
    upload: async (pieces, signal) => {
      const call = send('POST', `${base}/stream/write?path=${UPLOAD_PATH}`, signal);
      const startedAt = performance.now();
      const answered = answerTo(call);
      Readable.from(pieces).pipe(call);
      await json(await answered);
      return performance.now() - startedAt;
    },
  };
}

function answerTo(call: ReturnType<typeof request>): Promise<Readable> {
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      if (response.statusCode === 200) resolve(response);
      else reject(new Error(`the gateway says ${response.statusCode}`));
    });
  });
}

async function* toRequests(sandboxId: string, pieces: Iterable<Buffer>) {
  yield StreamWriteFileRequest.fromPartial({ sandboxId, path: UPLOAD_PATH });
  for (const data of pieces) yield StreamWriteFileRequest.fromPartial({ file: { data } });
}

async function timeOfBodies(bodies: AsyncIterable<{ data: Buffer }>, bytes: number) {
  async function* content() {
    for await (const { data } of bodies) yield data;
  }
  return timeOfPieces(content(), bytes);
}

/** @throws Error when it is not exactly so many bytes. */
async function timeOfPieces(pieces: AsyncIterable<Buffer>, bytes: number): Promise<number> {
  const startedAt = performance.now();
  let received = 0;
  for await (const piece of pieces) received += piece.length;
  if (received !== bytes) throw new Error(`${received} bytes instead of ${bytes}`);
  return performance.now() - startedAt;
}
