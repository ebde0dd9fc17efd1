/** Sandboxes as the public API shows them. */
import {
  type ForkResult,
  type ListSandboxesRequest,
  type Sandbox,
  SandboxState,
  TimeoutAction,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { Forked } from '../app/fork-sandbox.js';
import type {
  SandboxFilter,
  SandboxRecord,
  TimeoutAction as StoredAction,
  SandboxState as StoredState,
} from '../store/sandbox.js';

const STATES: Record<StoredState, SandboxState> = {
  STARTING: SandboxState.SANDBOX_STATE_STARTING,
  RUNNING: SandboxState.SANDBOX_STATE_RUNNING,
  PAUSING: SandboxState.SANDBOX_STATE_PAUSING,
  PAUSED: SandboxState.SANDBOX_STATE_PAUSED,
  RESUMING: SandboxState.SANDBOX_STATE_RESUMING,
  DELETING: SandboxState.SANDBOX_STATE_DELETING,
  LOST: SandboxState.SANDBOX_STATE_LOST,
  FAILED: SandboxState.SANDBOX_STATE_FAILED,
  // Nobody sees a deleted sandbox but who deletes it at this moment.
  DELETED: SandboxState.SANDBOX_STATE_DELETING,
};

const ACTIONS: Record<StoredAction, TimeoutAction> = {
  delete: TimeoutAction.TIMEOUT_ACTION_DELETE,
  pause: TimeoutAction.TIMEOUT_ACTION_PAUSE,
};

/** @returns undefined for an action that is left open. */
export function fromTimeoutAction(action: TimeoutAction): StoredAction | undefined {
  if (action === TimeoutAction.TIMEOUT_ACTION_PAUSE) return 'pause';
  return action === TimeoutAction.TIMEOUT_ACTION_DELETE ? 'delete' : undefined;
}

/** @throws INVALID_REQUEST when two values are wanted of one key. */
export function toFilter({ states, metadata }: ListSandboxesRequest): SandboxFilter {
  const wanted = Object.entries(STATES).filter(([, state]) => states.includes(state));
  return {
    states: wanted.map(([state]) => state as StoredState),
    metadata: toMetadata(metadata),
  };
}

/** Pairs of the form `key=value`; a value may hold `=`, a key cannot. */
function toMetadata(pairs: readonly string[]): Record<string, string> {
  const metadata = new Map<string, string>();
  for (const pair of pairs) {
    const separator = pair.indexOf('=');
    const key = pair.slice(0, separator);
    const value = pair.slice(separator + 1);
    if ((metadata.get(key) ?? value) !== value) throw twoValues(key);
    metadata.set(key, value);
  }
  return Object.fromEntries(metadata);
}

function twoValues(key: string): WrennError {
  const description = `no sandbox has two values of ${key}`;
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `metadata: ${description}`, {
    violations: [{ field: 'metadata', description, rule: 'metadata.unique' }],
  });
}

export function toSandbox(sandbox: SandboxRecord): Sandbox {
  return {
    sandboxId: sandbox.id,
    template: sandbox.template,
    state: STATES[sandbox.state],
    stateReason: reasonNumber(sandbox.stateReason ?? 'UNSPECIFIED'),
    vcpus: sandbox.vcpus,
    memoryMb: sandbox.memoryMb,
    timeoutSec: sandbox.timeoutSec,
    onTimeout: ACTIONS[sandbox.onTimeout],
    metadata: sandbox.metadata,
    guestIp: sandbox.guestIp,
    hostIp: sandbox.hostIp,
    createdAt: toTimestamp(sandbox.createdAt.getTime()),
    startedAt: sandbox.startedAt && toTimestamp(sandbox.startedAt.getTime()),
    lastActiveAt: toTimestamp(sandbox.lastActiveAt.getTime()),
    pausedAt: sandbox.pausedAt && toTimestamp(sandbox.pausedAt.getTime()),
    hostId: sandbox.hostId,
  };
}

export function toForkResult(forked: Forked): ForkResult {
  if (!(forked instanceof WrennError)) {
    return { result: { $case: 'sandbox', value: toSandbox(forked) } };
  }
  const { code, reason, message } = forked;
  return { result: { $case: 'error', value: { code, reason: reasonNumber(reason), message } } };
}
