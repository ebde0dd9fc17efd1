/**
 * What a caller of HTTP sees of an error: the google.rpc.Status that a service
 * sent, byte for byte, or one of the gateway's own. Text that grpc-js wrote
 * (socket paths, addresses) stays in the log.
 */
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { Status } from '../../gen/ts/google/rpc/status.js';
import {
  Code,
  fromServiceError,
  STATUS_DETAILS_KEY,
  toStatus,
  WrennError,
} from '../../lib/errors/index.js';

const RETRY_AFTER_SEC = 1;

/** The status of anything that went wrong with a request. */
export function statusOf(thrown: unknown, requestId: string): Status {
  return sentStatus(thrown) ?? toStatus(ownError(thrown), requestId);
}

/** Whether a service has sent this error, and so has logged it. */
export function isSentByService(thrown: unknown): boolean {
  return sentStatus(thrown) !== undefined;
}

function sentStatus(thrown: unknown): Status | undefined {
  if (!isServiceError(thrown)) return undefined;
  const bytes = thrown.metadata.get(STATUS_DETAILS_KEY)[0];
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return Status.decode(bytes);
  } catch {
    return undefined;
  }
}

/** An error that comes from the gateway, or from grpc-js between it and the services. */
function ownError(thrown: unknown): WrennError {
  if (!isServiceError(thrown)) return WrennError.from(thrown);
  const { code, reason } = fromServiceError(thrown);
  const options = { cause: thrown };
  switch (code) {
    case Code.UNAVAILABLE:
      return new WrennError(
        code,
        'SHUTTING_DOWN',
        'the service does not answer; it is starting or shutting down',
        { ...options, retryAfterSec: RETRY_AFTER_SEC },
      );
    case Code.DEADLINE_EXCEEDED:
      return new WrennError(code, reason, 'the call took longer than it may', options);
    case Code.CANCELLED:
      return new WrennError(code, reason, 'the call was cancelled', options);
    case Code.UNIMPLEMENTED:
      return new WrennError(code, reason, 'this server does not serve the method', options);
    default:
      return WrennError.from(thrown);
  }
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && Reflect.get(thrown, 'metadata') instanceof Metadata;
}
