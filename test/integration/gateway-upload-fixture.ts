/**
 * A service that takes uploads behind the real gateway, as slowly as a test
 * says; and what the tests need to send them.
 */
import { createHash } from 'node:crypto';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { StreamWriteFileRequest } from '../../gen/ts/wrenn/v1/file.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { GatewayLimits } from '../../src/gateway/limits.js';
import { type Gate, gate } from '../support/gate.js';
import { type GatewayFixture, startGatewayFixture } from './gateway-fixture.js';

const MIB = 1024 * 1024;
const REQUESTS_KEPT_MAX = 100;

export const PIECE = Buffer.alloc(64 * 1024, 'x');
/** More than this the sockets and streams between two ends do not hold. */
export const IN_FLIGHT_BYTES_MAX = 32 * MIB;

/** What the service has seen of uploads. */
export interface Seen {
  requests: StreamWriteFileRequest[];
  bytes: number;
  /** Only of uploads that came to their end. */
  digests: string[];
  failures: unknown[];
  signal?: AbortSignal;
}

export interface UploadFixture extends GatewayFixture {
  seen: Seen;
  /** Until it opens the service takes one message only. */
  hold: Gate;
}

type TakeUpload = (
  context: CallContext<undefined>,
  requests: AsyncIterable<StreamWriteFileRequest>,
) => Promise<{ path: string; sizeBytes: number }>;

/** Starts gateway and service; `handler` takes the place of the one that takes uploads. */
export async function startUploadFixture(
  limits: Partial<GatewayLimits> = {},
  handler?: TakeUpload,
): Promise<UploadFixture> {
  const seen: Seen = { requests: [], bytes: 0, digests: [], failures: [] };
  const hold = gate();
  const streamWriteFile = handler ?? takeUpload(seen, hold);
  const fixture = await startGatewayFixture({ files: { streamWriteFile } }, limits);
  const close = async () => {
    hold.open();
    await fixture.close();
  };
  return { ...fixture, seen, hold, close };
}

/** Begins a request whose body the test writes. */
export function beginUpload(
  { port }: GatewayFixture,
  path: string,
  headers: Record<string, string> = {},
): { request: ClientRequest; answer: Promise<IncomingMessage> } {
  const request = httpRequest({ port, path, method: 'POST', headers, agent: false });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
  answer.catch(() => undefined);
  return { request, answer };
}

/** Takes an upload to its end and keeps no content. */
function takeUpload(seen: Seen, hold: Gate): TakeUpload {
  return async (context, requests) => {
    seen.signal = context.signal;
    const hash = createHash('sha256');
    try {
      for await (const request of requests) {
        const data = request.file?.data ?? Buffer.alloc(0);
        if (seen.requests.length < REQUESTS_KEPT_MAX) seen.requests.push(request);
        seen.bytes += data.length;
        hash.update(data);
        await hold.opened;
      }
    } catch (error) {
      seen.failures.push(error);
      throw error;
    }
    seen.digests.push(hash.digest('hex'));
    return { path: seen.requests[0]?.path ?? '', sizeBytes: seen.bytes };
  };
}

export function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes so many bytes as fast as they are taken, and then the ending. */
export async function writeAll(
  request: ClientRequest,
  total: number,
  progress: { written: number; peak: number },
  ending = '',
): Promise<void> {
  for (; progress.written < total; progress.written += PIECE.length) {
    if (!request.write(PIECE)) await new Promise((resolve) => request.once('drain', resolve));
    progress.peak = Math.max(progress.peak, process.memoryUsage().rss);
  }
  request.end(ending);
}
