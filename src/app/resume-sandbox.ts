/** Resuming a sandbox: PAUSED ─▶ RESUMING ─▶ RUNNING. What it does in each race stands in transition.ts. */
import type { RestoreStep } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { Reason } from '../../lib/errors/index.js';
import { hostUnavailable } from '../hosts/agent-errors.js';
import type { SandboxChange, SandboxRecord } from '../store/sandbox.js';
import { toRunning } from './create-sandbox.js';
import { type TransitionParts, Transitions } from './transition.js';

/** Answers of the host after which the sandbox is paused as before. */
const STAYS_PAUSED: readonly Reason[] = [
  'SNAPSHOT_DAMAGED',
  'SNAPSHOT_INCOMPATIBLE',
  'RESTORE_FAILED',
  'BOOT_TIMEOUT',
  'VMM_FAILED',
  'GUEST_UNREACHABLE',
  'HOST_EXHAUSTED',
  'NETWORK_EXHAUSTED',
  'HOST_DISK_FULL',
  'OVERLOADED',
];

export interface Resumed {
  sandbox: SandboxRecord;
  /** The steps of the guest's return, in order; none when it was running already. */
  steps: readonly RestoreStep[];
}

export interface ResumeWish {
  /** Whether the guest boots from its disk, without its memory. */
  cold: boolean;
}

export class SandboxResumer {
  readonly #transitions: Transitions<ResumeWish, Resumed>;

  constructor(parts: TransitionParts) {
    this.#transitions = new Transitions(parts, {
      ...{ from: 'PAUSED', via: 'RESUMING', to: 'RUNNING', refusals: STAYS_PAUSED },
      alreadyThere: (sandbox) => ({ sandbox, steps: [] }),
      goBack: toPausedAgain,
      carryOut: async ({ id: sandboxId, generation }, { cold }) => {
        const answer = await parts.host.resumeSandbox({ sandboxId, generation, cold });
        const { sandbox: resumed, steps } = answer;
        if (!resumed) throw hostUnavailable(new Error('the answer holds no sandbox'));
        const toAnswer = (sandbox: SandboxRecord) => ({ sandbox, steps });
        return { change: toRunning(resumed), toAnswer };
      },
    });
  }

  /**
   * Resolves when the sandbox takes commands; a running one does already. Of
   * callers at the same time all get the first one's mode.
   * @throws SANDBOX_NOT_FOUND, HOST_UNAVAILABLE
   * @throws SANDBOX_STATE unless it is PAUSED, RESUMING or RUNNING.
   * @throws SNAPSHOT_DAMAGED, RESTORE_FAILED and what else a return may fail of: it stays paused.
   * @throws SANDBOX_CONFLICT when it is deleted meanwhile.
   */
  resume(teamId: string, sandboxId: string, wish: ResumeWish): Promise<Resumed> {
    return this.#transitions.reach(teamId, sandboxId, wish);
  }
}

function toPausedAgain({ pausedAt, stateAt, stateReason }: SandboxRecord): SandboxChange {
  return { state: 'PAUSED', pausedAt: pausedAt ?? stateAt, stateReason };
}
