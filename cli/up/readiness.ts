/** Waits until a daemon takes calls. */
import { credentials } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '../../gen/ts/grpc/health/v1/health.js';
import { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { HostPort } from '../../lib/config/environment.js';
import { retry } from '../../lib/lifecycle/delay.js';
import { createClient } from '../../lib/rpc/client.js';
import { reachableAddress } from '../address.js';

/** An agent first looks for the machines of an earlier run and may probe KVM. */
const AGENT_TIMEOUT_MS = 120_000;
/** A control plane first migrates the database. */
const CONTROL_PLANE_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 5000;
const PROBE_PAUSE_MS = 50;
const PROBE_PAUSE_MS_MAX = 500;

/** Resolves when the agent answers and knows all sandboxes of an earlier run. */
export async function agentReady(socketPath: string, signal: AbortSignal): Promise<void> {
  await probeUntil(AGENT_TIMEOUT_MS, signal, async () => {
    const client = createClient(
      HostAgentServiceService,
      `unix:${socketPath}`,
      credentials.createInsecure(),
    );
    try {
      const { complete } = await client.listSandboxes({}, { timeoutMs: PROBE_TIMEOUT_MS });
      if (!complete) throw new Error('the agent still looks for sandboxes of an earlier run');
    } finally {
      client.close();
    }
  });
}

/** Resolves when the control plane serves gRPC and HTTP. */
export async function controlPlaneReady(
  addresses: { grpcAddress: HostPort; httpAddress: HostPort },
  signal: AbortSignal,
): Promise<void> {
  await probeUntil(CONTROL_PLANE_TIMEOUT_MS, signal, async () => {
    await requireHealthy(reachableAddress(addresses.grpcAddress));
    // Any answer will do: it shows that the gateway listens.
    const response = await fetch(`http://${reachableAddress(addresses.httpAddress)}/healthz`, {
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await response.body?.cancel();
  });
}

async function requireHealthy(address: string): Promise<void> {
  const client = createClient(HealthService, address, credentials.createInsecure());
  try {
    const { status } = await client.check({ service: '' }, { timeoutMs: PROBE_TIMEOUT_MS });
    if (status !== HealthCheckResponse_ServingStatus.SERVING) {
      throw new Error('the control plane does not serve yet');
    }
  } finally {
    client.close();
  }
}

function probeUntil(
  timeoutMs: number,
  signal: AbortSignal,
  probe: () => Promise<void>,
): Promise<void> {
  return retry(probe, {
    timeoutMs,
    pauseMs: PROBE_PAUSE_MS,
    pauseMsMax: PROBE_PAUSE_MS_MAX,
    signal,
  });
}
