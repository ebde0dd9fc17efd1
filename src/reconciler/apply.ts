/** Carries out the actions of a plan. A row that has changed since it was read is left to the next pass. */
import { toRunning } from '../app/create-sandbox.js';
import { toPaused } from '../app/pause-sandbox.js';
import type { SandboxRemover } from '../app/sandbox-remover.js';
import type { Stores } from '../store/index.js';
import type { SandboxChange } from '../store/sandbox.js';
import type { Observation } from './observe.js';
import type { Action } from './plan.js';

export interface ApplyParts {
  stores: Stores;
  remover: SandboxRemover;
}

export async function applyAction(
  { stores, remover }: ApplyParts,
  { rows, hostSandboxes }: Observation,
  action: Action,
): Promise<void> {
  if (action.kind === 'destroy') return remover.destroyOnHost(action);
  const row = rows.sandboxes.find(({ id }) => id === action.id);
  if (!row) return;
  switch (action.kind) {
    case 'mark-running':
    case 'mark-paused': {
      const toChange = action.kind === 'mark-running' ? toRunning : toPaused;
      const seen = hostSandboxes.find(({ sandboxId }) => sandboxId === row.id);
      if (seen) await stores.sandboxes.change(row, toChange(seen));
      return;
    }
    case 'mark-lost':
      await stores.sandboxes.change(row, { state: 'LOST', stateReason: 'SANDBOX_LOST' });
      return;
    case 'finish-delete':
      return remover.remove(row);
    default: {
      // The host forgets how it ended only after that is written down.
      const changed = await stores.sandboxes.change(row, toEnd(action));
      if (changed) await remover.destroyOnHost(row);
    }
  }
}

function toEnd(action: Action & { kind: 'fail' | 'expire' }): SandboxChange {
  return action.kind === 'expire'
    ? { state: 'DELETED', stateReason: 'SANDBOX_TIMEOUT' }
    : { state: 'FAILED', stateReason: action.reason };
}
