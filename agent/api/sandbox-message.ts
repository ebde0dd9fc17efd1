import {
  type Sandbox as SandboxMessage,
  SandboxState,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { reasonNumber } from '../../lib/errors/index.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { SandboxPhase } from '../ledger/entry.js';
import type { Sandbox } from '../sandbox/sandbox.js';

const STATES: Record<SandboxPhase, SandboxState> = {
  starting: SandboxState.SANDBOX_STATE_STARTING,
  running: SandboxState.SANDBOX_STATE_RUNNING,
  stopping: SandboxState.SANDBOX_STATE_STOPPING,
  ended: SandboxState.SANDBOX_STATE_ENDED,
};

/** What the control plane sees of a sandbox. */
export function toSandboxMessage(sandbox: Sandbox): SandboxMessage {
  const { entry } = sandbox;
  return {
    sandboxId: entry.sandboxId,
    state: STATES[entry.phase],
    endReason: reasonNumber(sandbox.endReason ?? 'UNSPECIFIED'),
    template: entry.template,
    vcpus: entry.vcpus,
    memoryMb: entry.memoryMb,
    timeoutSec: entry.timeoutSec,
    guestIp: entry.slot?.guestIp ?? '',
    hostIp: entry.slot?.hostIp ?? '',
    createdAt: toTimestamp(entry.createdAtMs),
    startedAt: entry.startedAtMs === undefined ? undefined : toTimestamp(entry.startedAtMs),
    lastActiveAt: toTimestamp(sandbox.lastActiveAtMs),
    generation: entry.generation,
  };
}
