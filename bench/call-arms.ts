/** Calls to a running sandbox: through the public API, and the same ones directly at the agent. */
import { ExecRequest } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { HttpClient } from './http-client.js';
import type { BenchPlatform } from './platform.js';
import { type Arm, elapsed } from './rounds.js';

const CALL_TIMEOUT_MS = 60_000;
const PROGRAM_TIMEOUT_SEC = 30;
const COMMAND = { cmd: 'true', timeoutSec: PROGRAM_TIMEOUT_SEC };

export const DIRECT = 'agent, Unix socket';
/** The same call as DIRECT: what its ratio is away from 1 is noise. */
export const DIRECT_AGAIN = 'the same again';
export const PUBLIC_GRPC = 'public API, gRPC';
export const PUBLIC_HTTP = 'public API, HTTP gateway';

/** Runs `true` to its end. */
export function execArms(platform: BenchPlatform, http: HttpClient, sandboxId: string): Arm[] {
  const { client, agent } = platform;
  const direct = ExecRequest.fromPartial({ ...COMMAND, sandboxId });
  const path = `/v1/sandboxes/${sandboxId}/exec`;
  const body = { cmd: COMMAND.cmd, timeout_sec: COMMAND.timeoutSec };
  const atAgent = async (signal: AbortSignal) => {
    const { exitCode } = await agent.exec(direct, { timeoutMs: CALL_TIMEOUT_MS, signal });
    requireSuccess(exitCode);
  };
  return [
    arm(DIRECT, atAgent),
    arm(DIRECT_AGAIN, atAgent),
    arm(PUBLIC_GRPC, async (signal) => {
      const { exitCode } = await client.exec(sandboxId, COMMAND, { signal });
      requireSuccess(exitCode);
    }),
    arm(PUBLIC_HTTP, async (signal) => {
      const answer = (await http.post(path, body, signal)) as { exit_code?: number };
      requireSuccess(answer.exit_code ?? 0);
    }),
  ];
}

/** Starts the inactivity timeout anew: the agent answers from memory, so the way is all there is. */
export function pingArms(platform: BenchPlatform, http: HttpClient, sandboxId: string): Arm[] {
  const { client, agent } = platform;
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  return [
    arm(DIRECT, (signal) => agent.pingSandbox({ sandboxId }, { ...options, signal })),
    arm(DIRECT_AGAIN, (signal) => agent.pingSandbox({ sandboxId }, { ...options, signal })),
    arm(PUBLIC_GRPC, (signal) => client.sandboxes.ping(sandboxId, { signal })),
    arm(PUBLIC_HTTP, (signal) => http.post(`/v1/sandboxes/${sandboxId}/ping`, {}, signal)),
  ];
}

function arm(name: string, call: (signal: AbortSignal) => Promise<unknown>): Arm {
  return { name, measure: (signal) => elapsed(() => call(signal)) };
}

/** A call that fails fast must not count as a fast call. */
function requireSuccess(exitCode: number): void {
  if (exitCode !== 0) throw new Error(`true ended with ${exitCode}`);
}
