/** Both sides of a pass: what the host has, and then what the database knows of it. */
import {
  type Host,
  type Sandbox,
  SandboxState,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { reasonName } from '../../lib/errors/index.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { HostSandboxes } from '../store/host-sandboxes.js';
import type { Stores } from '../store/index.js';
import type { SandboxRecord } from '../store/sandbox.js';
import type { Desired, Observed, ObservedState } from './plan.js';

export interface Observation {
  /** What the host has and no other host's row names. */
  hostSandboxes: readonly Sandbox[];
  complete: boolean;
  templates: readonly string[];
  rows: HostSandboxes;
}

const STATES: Partial<Record<SandboxState, ObservedState>> = {
  [SandboxState.SANDBOX_STATE_STARTING]: 'STARTING',
  [SandboxState.SANDBOX_STATE_RUNNING]: 'RUNNING',
  [SandboxState.SANDBOX_STATE_PAUSING]: 'PAUSING',
  [SandboxState.SANDBOX_STATE_PAUSED]: 'PAUSED',
  [SandboxState.SANDBOX_STATE_RESUMING]: 'RESUMING',
  [SandboxState.SANDBOX_STATE_STOPPING]: 'STOPPING',
  [SandboxState.SANDBOX_STATE_ENDED]: 'ENDED',
};

/**
 * The host is asked first: a sandbox gets its row before it gets to the host,
 * so whatever the host names has a row by the time the rows are read.
 */
export async function observe(
  host: HostAgent,
  { hostId, templates }: Host,
  stores: Stores,
): Promise<Observation> {
  const { sandboxes, complete } = await host.listSandboxes();
  const ids = sandboxes.map(({ sandboxId }) => sandboxId);
  const rows = await stores.hostSandboxes.read(hostId, ids);
  const hostSandboxes = sandboxes.filter(({ sandboxId }) => !rows.elsewhereIds.has(sandboxId));
  return { hostSandboxes, complete, templates, rows };
}

export function toDesired(sandbox: SandboxRecord): Desired {
  const { id, state, stateReason, generation, createdAt } = sandbox;
  const diskFull = stateReason === 'DISK_FULL';
  return { id, state, generation, createdAtMs: createdAt.getTime(), diskFull };
}

/** @throws Error for a state of a newer agent: what is not understood is not acted on. */
export function toObserved(sandbox: Sandbox): Observed {
  const state = STATES[sandbox.state];
  if (!state) throw new Error(`unknown sandbox state ${sandbox.state} from the host agent`);
  return {
    id: sandbox.sandboxId,
    state,
    generation: sandbox.generation,
    endReason: reasonName(sandbox.endReason),
    createdAtMs: sandbox.createdAt ? fromTimestamp(sandbox.createdAt) : Date.now(),
    diskFull: sandbox.diskFull,
  };
}
