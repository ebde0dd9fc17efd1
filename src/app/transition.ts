/**
 * What pausing and resuming have in common: a row goes from one state through
 * a passing one to another, with one call to the host in between.
 *
 *     of several callers at once     one makes the call, all get its answer
 *     it is there already            that is the answer
 *     the opposite is under way      SANDBOX_STATE with the state; nobody waits for it
 *     another process is at it       they wait for the row
 *     all callers went away          it goes on: the row tells what became of it
 *     it is deleted meanwhile        the delete wins, the callers get SANDBOX_CONFLICT
 *     the host refused               the row goes back, the callers get the reason
 *     the host did not answer        the row stays in between until the reconciler knows more
 */
import { hasReason, type Reason } from '../../lib/errors/index.js';
import { delay } from '../../lib/lifecycle/delay.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { SandboxChange, SandboxRecord, SandboxState, SandboxStore } from '../store/sandbox.js';
import type { Background } from './background.js';
import type { InFlight } from './in-flight.js';
import { sandboxConflict, sandboxNotFound, wrongState } from './sandbox-errors.js';
import { SingleFlight } from './single-flight.js';

/** Times that the sandbox is read anew because its state changed meanwhile. */
const ATTEMPTS_MAX = 10;
/** Pause between two looks at a row on which another process works. */
export const SETTLE_POLL_MS = 250;
/** Time that a call waits for another process: as long as that one may wait for the host. */
export const SETTLE_TIMEOUT_MS = 660_000;

export interface TransitionParts {
  sandboxes: SandboxStore;
  host: HostAgent;
  inFlight: InFlight;
  background: Background;
  /** Asks for a pass of the reconciler. */
  nudge: () => void;
}

export interface Transition<Request, Answer> {
  from: SandboxState;
  via: 'PAUSING' | 'RESUMING';
  to: SandboxState;
  /** The answer for a sandbox that is there already. */
  alreadyThere: (sandbox: SandboxRecord) => Answer;
  /** The call to the host, and what it makes of the row. */
  carryOut: (
    sandbox: SandboxRecord,
    request: Request,
  ) => Promise<{ change: SandboxChange; toAnswer: (changed: SandboxRecord) => Answer }>;
  /** Answers of the host after which the sandbox is as it was before. */
  refusals: readonly Reason[];
  /** Puts the row back to what it was before. */
  goBack: (before: SandboxRecord) => SandboxChange;
}

export class Transitions<Request, Answer> {
  readonly #parts: TransitionParts;
  readonly #transition: Transition<Request, Answer>;
  readonly #flights = new SingleFlight<Answer | undefined>();
  readonly #waits = new SingleFlight<void>();

  constructor(parts: TransitionParts, transition: Transition<Request, Answer>) {
    this.#parts = parts;
    this.#transition = transition;
  }

  /** Resolves when the sandbox is there. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, SANDBOX_CONFLICT, … */
  async reach(teamId: string, sandboxId: string, request: Request): Promise<Answer> {
    const { from, via, to, alreadyThere } = this.#transition;
    const key = `${teamId} ${sandboxId}`;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const sandbox = await this.#get(teamId, sandboxId);
      if (sandbox.state === to) return alreadyThere(sandbox);
      if (sandbox.state !== from && sandbox.state !== via) throw wrongState(sandbox, from);
      const answer =
        sandbox.state === from
          ? await this.#flights.join(key, () => this.#start(sandbox, request))
          : await (this.#flights.get(key) ?? this.#waits.join(key, () => this.#settled(sandbox)));
      if (answer) return answer;
    }
    throw sandboxConflict(sandboxId);
  }

  /** @returns undefined when the row has changed before anything was done. */
  #start(before: SandboxRecord, request: Request): Promise<Answer | undefined> {
    const { sandboxes, host, inFlight, background } = this.#parts;
    return background.track(
      inFlight.hold(before.id, async () => {
        await host.requireHost(before.hostId);
        const passing = await sandboxes.change(before, { state: this.#transition.via });
        return passing && this.#pass(before, passing, request);
      }),
    );
  }

  async #pass(before: SandboxRecord, passing: SandboxRecord, request: Request): Promise<Answer> {
    const { carryOut } = this.#transition;
    const { change, toAnswer } = await carryOut(passing, request).catch(async (error: unknown) => {
      throw await this.#failed(before, passing, error);
    });
    const changed = await this.#parts.sandboxes.change(passing, change);
    return toAnswer(changed ?? (await this.#changedByOthers(passing)));
  }

  /** Settles the row if the host's answer tells how. @returns what the callers get. */
  async #failed(before: SandboxRecord, passing: SandboxRecord, error: unknown): Promise<unknown> {
    const { sandboxes, nudge } = this.#parts;
    const { refusals, goBack } = this.#transition;
    if (hasReason(error, ...refusals)) await sandboxes.change(passing, goBack(before));
    else nudge();
    const found = await sandboxes.find(passing.teamId, passing.id);
    return !found || found.state === 'DELETING' ? sandboxConflict(passing.id, error) : error;
  }

  /** A reconciler that has seen the same on the host has done the same to the row. */
  async #changedByOthers({ teamId, id }: SandboxRecord): Promise<SandboxRecord> {
    const found = await this.#parts.sandboxes.find(teamId, id);
    if (found?.state === this.#transition.to) return found;
    throw sandboxConflict(id);
  }

  /** Resolves when the row is no longer in between. */
  async #settled({ teamId, id, state }: SandboxRecord): Promise<void> {
    const endsAt = performance.now() + SETTLE_TIMEOUT_MS;
    for (;;) {
      const sandbox = await this.#get(teamId, id);
      if (sandbox.state !== state) return;
      if (performance.now() > endsAt) throw wrongState(sandbox, this.#transition.from);
      await delay(SETTLE_POLL_MS);
    }
  }

  async #get(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const sandbox = await this.#parts.sandboxes.find(teamId, sandboxId);
    if (!sandbox) throw sandboxNotFound(sandboxId);
    return sandbox;
  }
}
