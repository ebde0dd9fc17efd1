/** /healthz says that this process answers; /readyz that the services do, too. */
import { Metadata } from '@grpc/grpc-js';
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../../gen/ts/grpc/health/v1/health.js';
import { READINESS_TIMEOUT_MS } from './limits.js';
import { type Answer, jsonAnswer } from './response.js';
import type { Upstream } from './upstream.js';

const CHECK = '/grpc.health.v1.Health/Check';

/** Paths that are answered here and stand in no proto. */
export type HealthPath = '/healthz' | '/readyz';

export function isHealthPath(path: string): path is HealthPath {
  return path === '/healthz' || path === '/readyz';
}

export async function healthAnswer(
  path: HealthPath,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<Answer> {
  if (path === '/healthz') return jsonAnswer(200, { status: 'ok' });
  const isServing = await isUpstreamServing(upstream, signal);
  return jsonAnswer(isServing ? 200 : 503, { status: isServing ? 'ready' : 'not ready' });
}

async function isUpstreamServing(upstream: Upstream, signal: AbortSignal): Promise<boolean> {
  const request = HealthCheckRequest.encode({ service: '' }).finish();
  try {
    const response = await upstream.call(CHECK, request, {
      metadata: new Metadata(),
      timeoutMs: READINESS_TIMEOUT_MS,
      signal,
    });
    return HealthCheckResponse.decode(response).status === ServingStatus.SERVING;
  } catch {
    return false;
  }
}
