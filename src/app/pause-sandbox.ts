/** Pausing a sandbox: RUNNING ─▶ PAUSING ─▶ PAUSED. What it does in each race stands in transition.ts. */
import type { Sandbox as HostSandbox } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { type Reason, reasonName } from '../../lib/errors/index.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import type { SandboxChange, SandboxRecord } from '../store/sandbox.js';
import { type TransitionParts, Transitions } from './transition.js';

/** Answers of the host after which the sandbox goes on running. */
const RUNS_ON: readonly Reason[] = ['PAUSE_FAILED', 'HOST_DISK_FULL', 'DISK_FULL', 'OVERLOADED'];

export class SandboxPauser {
  readonly #transitions: Transitions<void, SandboxRecord>;

  constructor(parts: TransitionParts) {
    this.#transitions = new Transitions(parts, {
      ...{ from: 'RUNNING', via: 'PAUSING', to: 'PAUSED', refusals: RUNS_ON },
      alreadyThere: (sandbox) => sandbox,
      goBack: toRunningAgain,
      carryOut: async ({ id: sandboxId, generation }) => {
        const paused = await parts.host.pauseSandbox({ sandboxId, generation });
        return { change: toPaused(paused), toAnswer: (changed) => changed };
      },
    });
  }

  /**
   * Resolves when the sandbox is paused; a paused one is paused already.
   * @throws SANDBOX_NOT_FOUND, HOST_UNAVAILABLE
   * @throws SANDBOX_STATE unless it is RUNNING, PAUSING or PAUSED.
   * @throws PAUSE_FAILED, HOST_DISK_FULL: it runs on.
   * @throws SANDBOX_CONFLICT when it is deleted meanwhile.
   */
  pause(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    return this.#transitions.reach(teamId, sandboxId);
  }
}

/** The state PAUSED of a sandbox as its host describes it. */
export function toPaused({ pausedAt, pauseReason }: HostSandbox): SandboxChange {
  const reason = reasonName(pauseReason);
  return {
    state: 'PAUSED',
    pausedAt: new Date(pausedAt ? fromTimestamp(pausedAt) : Date.now()),
    stateReason: reason === 'UNSPECIFIED' ? undefined : reason,
  };
}

function toRunningAgain(before: SandboxRecord): SandboxChange {
  const { guestIp, hostIp, stateReason, startedAt, createdAt } = before;
  return { state: 'RUNNING', guestIp, hostIp, stateReason, startedAt: startedAt ?? createdAt };
}
