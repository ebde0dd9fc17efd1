/** What the control plane sees of a sandbox, whether it has a machine or is paused. */
import {
  type Sandbox as SandboxMessage,
  SandboxState,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { reasonNumber } from '../../lib/errors/index.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { SandboxPhase } from '../ledger/entry.js';
import type { ListedSandbox } from '../sandbox/manager.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import type { PausedSandbox } from '../sandbox/sandbox-ref.js';

const STATES: Record<SandboxPhase, SandboxState> = {
  starting: SandboxState.SANDBOX_STATE_STARTING,
  resuming: SandboxState.SANDBOX_STATE_RESUMING,
  running: SandboxState.SANDBOX_STATE_RUNNING,
  pausing: SandboxState.SANDBOX_STATE_PAUSING,
  stopping: SandboxState.SANDBOX_STATE_STOPPING,
  ended: SandboxState.SANDBOX_STATE_ENDED,
};

export function toListedMessage(listed: ListedSandbox): SandboxMessage {
  return listed.kind === 'live' ? toSandboxMessage(listed.sandbox) : toPausedMessage(listed.paused);
}

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
    pauseOnTimeout: entry.pauseOnTimeout,
    guestIp: entry.slot?.guestIp ?? '',
    hostIp: entry.slot?.hostIp ?? '',
    createdAt: toTimestamp(entry.createdAtMs),
    startedAt: entry.startedAtMs === undefined ? undefined : toTimestamp(entry.startedAtMs),
    lastActiveAt: toTimestamp(sandbox.lastActiveAtMs),
    generation: entry.generation,
    pausedAt: undefined,
    pauseReason: reasonNumber('UNSPECIFIED'),
    diskFull: sandbox.isDiskFull,
  };
}

export function toPausedMessage(paused: PausedSandbox): SandboxMessage {
  return {
    sandboxId: paused.sandboxId,
    state: SandboxState.SANDBOX_STATE_PAUSED,
    endReason: reasonNumber('UNSPECIFIED'),
    template: paused.template,
    vcpus: paused.vcpus,
    memoryMb: paused.memoryMb,
    timeoutSec: paused.timeoutSec,
    pauseOnTimeout: paused.pauseOnTimeout,
    guestIp: '',
    hostIp: '',
    createdAt: toTimestamp(paused.createdAtMs),
    startedAt: toTimestamp(paused.startedAtMs),
    lastActiveAt: toTimestamp(paused.lastActiveAtMs),
    generation: paused.generation,
    pausedAt: toTimestamp(paused.pausedAtMs),
    pauseReason: reasonNumber(paused.pauseReason ?? 'UNSPECIFIED'),
    diskFull: false,
  };
}
