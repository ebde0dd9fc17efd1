/**
 * The headers of a request that matter to a service, as gRPC metadata. All
 * others stay behind: what a service trusts must not come in from outside.
 */
import type { IncomingMessage } from 'node:http';
import { Metadata } from '@grpc/grpc-js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { REQUEST_ID } from '../../lib/rpc/service.js';
import { CLIENT_ADDRESS_KEY } from '../client-address.js';
import { HEADER_PAIRS_MAX } from './limits.js';

/** Headers that go on to the services under the same name. */
export const FORWARDED = ['authorization', 'x-api-key'] as const;
/** Headers by which a caller says how long it waits; the first one counts. */
export const TIMEOUT_HEADERS = ['x-wrenn-timeout-ms', 'grpc-timeout'] as const;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

const GRPC_TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const GRPC_TIMEOUT_UNIT_MS: Record<string, number> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};
const TIMEOUT_MS = /^\d{1,10}$/;

/** The caller's request id, or a new one when it gave none that can be used. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomId();
}

/** Metadata for the services; throws INVALID_ARGUMENT for a header that has no single meaning. */
export function toMetadata(request: IncomingMessage, requestId: string): Metadata {
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  metadata.set(CLIENT_ADDRESS_KEY, request.socket.remoteAddress ?? 'unknown');
  for (const name of FORWARDED) {
    const value = singleHeader(request, name);
    if (value !== undefined) metadata.set(name, value);
  }
  return metadata;
}

/** How long the caller waits, by `x-wrenn-timeout-ms` or `grpc-timeout`; undefined when it does not say. */
export function callerTimeoutMs(request: IncomingMessage): number | undefined {
  const [inMs, inGrpcUnits] = TIMEOUT_HEADERS;
  const timeoutMs = singleHeader(request, inMs);
  if (timeoutMs !== undefined) {
    if (!TIMEOUT_MS.test(timeoutMs)) throw invalid('x-wrenn-timeout-ms is not a whole number');
    return Number(timeoutMs);
  }
  const timeout = singleHeader(request, inGrpcUnits);
  if (timeout === undefined) return undefined;
  const [, amount, unit = ''] = GRPC_TIMEOUT.exec(timeout) ?? [];
  const unitMs = GRPC_TIMEOUT_UNIT_MS[unit];
  if (amount === undefined || unitMs === undefined) {
    throw invalid('grpc-timeout is not a number with a unit, such as 5S');
  }
  return Number(amount) * unitMs;
}

/** Whether the request holds more headers than one may. */
export function hasTooManyHeaders(request: IncomingMessage): boolean {
  return request.rawHeaders.length / 2 > HEADER_PAIRS_MAX;
}

function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const values = request.headersDistinct[name] ?? [];
  const [value] = values;
  if (values.length > 1) throw invalid(`the header ${name} is there more than once`);
  if (value !== undefined && !PRINTABLE_ASCII.test(value)) {
    throw invalid(`the header ${name} holds characters other than printable ASCII`);
  }
  return value;
}

function invalid(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
