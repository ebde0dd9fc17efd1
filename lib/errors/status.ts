/**
 * google.rpc.Status, both ways: what a WrennError looks like on the wire, and
 * a WrennError out of what came over the wire. gRPC and HTTP use the same one.
 */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from '../../gen/ts/google/rpc/error_details.js';
import { Status } from '../../gen/ts/google/rpc/status.js';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { shownText } from './shown-text.js';
import { type Reason, WrennError, type WrennErrorOptions } from './wrenn-error.js';

/** The service name in ErrorInfo.domain. */
export const ERROR_DOMAIN = 'wrenn';

/** The trailer in which gRPC carries a serialized google.rpc.Status. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

const TYPE_URL_PREFIX = 'type.googleapis.com/';

/**
 * Most that a status repeats of what a caller sent. It travels in the trailers of
 * a call: a peer breaks the call, or the connection, when they are too large.
 */
const MESSAGE_BYTES_MAX = 1024;
const VIOLATIONS_MAX = 16;
const FIELD_BYTES_MAX = 128;
const DESCRIPTION_BYTES_MAX = 256;
const METADATA_BYTES_MAX = 256;

/** Turns any thrown value into the google.rpc.Status that a caller sees. */
export function toStatus(thrown: unknown, requestId?: string): Status {
  const error = WrennError.from(thrown);
  const metadata = {
    ...shownMetadata(error.metadata),
    ...(requestId ? { request_id: requestId } : {}),
  };
  const details = [
    any(
      'google.rpc.ErrorInfo',
      ErrorInfo.encode({ reason: error.reason, domain: ERROR_DOMAIN, metadata }),
    ),
  ];
  if (error.violations.length > 0) {
    const shown = error.violations.slice(0, VIOLATIONS_MAX);
    const fieldViolations = shown.map(({ field, description, rule }) => ({
      field: shownText(field, FIELD_BYTES_MAX),
      description: shownText(description, DESCRIPTION_BYTES_MAX),
      reason: rule,
      localizedMessage: undefined,
    }));
    details.push(any('google.rpc.BadRequest', BadRequest.encode({ fieldViolations })));
  }
  if (error.retryAfterSec !== undefined) {
    const retryDelay = { seconds: BigInt(Math.ceil(error.retryAfterSec)), nanos: 0 };
    details.push(any('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay })));
  }
  return { code: error.code, message: shownText(error.message, MESSAGE_BYTES_MAX), details };
}

function shownMetadata(metadata: Record<string, string>): Record<string, string> {
  const shown = Object.entries(metadata).map(([name, value]) => [
    name,
    shownText(value, METADATA_BYTES_MAX),
  ]);
  return Object.fromEntries(shown);
}

/** The gRPC form of a Status: code, details and the trailer that holds all of it. */
export function toServiceError(thrown: unknown, requestId?: string): Partial<ServiceError> {
  const encoded = toStatus(thrown, requestId);
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS_KEY, Buffer.from(Status.encode(encoded).finish()));
  return { code: encoded.code as status, details: encoded.message, metadata };
}

/** Turns what a gRPC client threw into a WrennError, with reason and metadata if it has them. */
export function fromServiceError(thrown: unknown): WrennError {
  if (thrown instanceof WrennError) return thrown;
  if (!isServiceError(thrown)) return WrennError.from(thrown);
  const fallback = new WrennError(thrown.code, reasonOfCode(thrown.code), thrown.details, {
    cause: thrown,
  });
  const bytes = thrown.metadata?.get(STATUS_DETAILS_KEY)[0];
  if (!Buffer.isBuffer(bytes)) return fallback;
  try {
    return fromStatus(Status.decode(bytes), thrown);
  } catch {
    return fallback;
  }
}

/** Turns a google.rpc.Status into a WrennError. */
export function fromStatus(received: Status, cause?: unknown): WrennError {
  let reason: Reason = reasonOfCode(received.code);
  const options: WrennErrorOptions = { cause };
  for (const detail of received.details) {
    switch (detail.typeUrl) {
      case `${TYPE_URL_PREFIX}google.rpc.ErrorInfo`: {
        const info = ErrorInfo.decode(detail.value);
        if (`ERROR_REASON_${info.reason}` in ErrorReason) reason = info.reason as Reason;
        options.metadata = info.metadata;
        break;
      }
      case `${TYPE_URL_PREFIX}google.rpc.BadRequest`:
        options.violations = BadRequest.decode(detail.value).fieldViolations.map(
          ({ field, description, reason: rule }) => ({ field, description, rule }),
        );
        break;
      case `${TYPE_URL_PREFIX}google.rpc.RetryInfo`: {
        const delay = RetryInfo.decode(detail.value).retryDelay;
        if (delay) options.retryAfterSec = Number(delay.seconds);
        break;
      }
    }
  }
  return new WrennError(received.code as status, reason, received.message, options);
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error &&
    typeof (thrown as Partial<ServiceError>).code === 'number' &&
    'details' in thrown
  );
}

function reasonOfCode(code: number): Reason {
  switch (code) {
    case status.CANCELLED:
    case status.DEADLINE_EXCEEDED:
      return 'CANCELLED';
    case status.INTERNAL:
      return 'INTERNAL';
    default:
      return 'UNSPECIFIED';
  }
}

function any(typeName: string, writer: { finish(): Uint8Array }) {
  return { typeUrl: TYPE_URL_PREFIX + typeName, value: Buffer.from(writer.finish()) };
}
