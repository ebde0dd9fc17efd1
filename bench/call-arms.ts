/**
 * Calls to a running sandbox: through the public API, and the same ones at the
 * agent, directly and through a proxy that does nothing else.
 */
import type { WrennClient } from '../clients/typescript/index.js';
import { ExecRequest } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { HttpClient } from './http-client.js';
import type { AgentClient } from './platform.js';
import { AGAIN, type Arm, elapsed } from './rounds.js';

export const CALL_TIMEOUT_MS = 60_000;
const PROGRAM_TIMEOUT_SEC = 30;
export const COMMAND = { cmd: 'true', timeoutSec: PROGRAM_TIMEOUT_SEC };

export const DIRECT = 'agent, Unix socket';
export const PROXIED = 'agent behind a bare proxy';
export const PUBLIC_GRPC = 'public API, gRPC';
export const PUBLIC_HTTP = 'public API, HTTP gateway';

/** The ways to a sandbox. */
export interface Ways {
  agent: AgentClient;
  proxiedAgent: AgentClient;
  client: WrennClient;
  http: HttpClient;
}

/** Runs `true` to its end. */
export function execArms(ways: Ways, sandboxId: string): Arm[] {
  const request = ExecRequest.fromPartial({ ...COMMAND, sandboxId });
  const path = `/v1/sandboxes/${sandboxId}/exec`;
  const body = { cmd: COMMAND.cmd, timeout_sec: COMMAND.timeoutSec };
  const through = (agent: AgentClient) => async (signal: AbortSignal) => {
    const { exitCode } = await agent.exec(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
    requireSuccess(exitCode);
  };
  return [
    arm(DIRECT, through(ways.agent)),
    arm(AGAIN, through(ways.agent)),
    arm(PROXIED, through(ways.proxiedAgent)),
    arm(PUBLIC_GRPC, async (signal) => {
      const { exitCode } = await ways.client.exec(sandboxId, COMMAND, { signal });
      requireSuccess(exitCode);
    }),
    arm(PUBLIC_HTTP, async (signal) => {
      const answer = (await ways.http.post(path, body, signal)) as { exit_code?: number };
      requireSuccess(answer.exit_code);
    }),
  ];
}

/** Starts the inactivity timeout anew: the agent answers from memory, so the way is all there is. */
export function pingArms({ agent, proxiedAgent, client, http }: Ways, sandboxId: string): Arm[] {
  const through = (target: AgentClient) => (signal: AbortSignal) =>
    target.pingSandbox({ sandboxId }, { timeoutMs: CALL_TIMEOUT_MS, signal });
  return [
    arm(DIRECT, through(agent)),
    arm(AGAIN, through(agent)),
    arm(PROXIED, through(proxiedAgent)),
    arm(PUBLIC_GRPC, (signal) => client.sandboxes.ping(sandboxId, { signal })),
    arm(PUBLIC_HTTP, (signal) => http.post(`/v1/sandboxes/${sandboxId}/ping`, {}, signal)),
  ];
}

/** Times a call. */
export function arm(name: string, call: (signal: AbortSignal) => Promise<unknown>): Arm {
  return { name, measure: (signal) => elapsed(() => call(signal)) };
}

/** A call that fails fast must not count as a fast call. */
export function requireSuccess(exitCode: number | undefined): void {
  if (exitCode !== 0) throw new Error(`true ended with ${exitCode}`);
}
