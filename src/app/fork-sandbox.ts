/**
 * Forking a sandbox: rows of all copies in state STARTING, one call to the
 * host, then each row RUNNING or gone. Whatever happens, nothing leaks:
 *
 *     the team may not have so many   nothing is started
 *     one copy failed                 its row goes away, the others stay
 *     the call failed                 all rows go away
 *     the caller went away            copies and rows go away: it never learnt the ids
 *     a copy was deleted meanwhile    the delete wins
 *     this process died               the reconciler finishes or ends each
 */
import type { ForkResult } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { reasonName, type WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import type { Log } from '../../lib/log/log.js';
import { fromForkError } from '../hosts/agent-errors.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { NewSandbox, SandboxRecord, SandboxStore } from '../store/sandbox.js';
import type { Background } from './background.js';
import { toRunning } from './create-sandbox.js';
import type { InFlight } from './in-flight.js';
import { sandboxConflict, sandboxNotFound, wrongState } from './sandbox-errors.js';
import type { SandboxRemover } from './sandbox-remover.js';

/** Rows that are written at the same time after the host's answer. */
export const ROWS_AT_ONCE_MAX = 8;

export interface ForkSandboxParts {
  sandboxes: SandboxStore;
  host: HostAgent;
  remover: SandboxRemover;
  inFlight: InFlight;
  background: Background;
  log: Log;
  /** Sandboxes that a team may have. */
  teamSandboxesMax: number;
}

/** One copy, or why there is none. */
export type Forked = SandboxRecord | WrennError;

export class SandboxForker {
  readonly #parts: ForkSandboxParts;

  constructor(parts: ForkSandboxParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when each copy takes commands or has failed.
   * @returns as many results as copies were asked for.
   * @throws SANDBOX_NOT_FOUND, SANDBOX_LIMIT, HOST_UNAVAILABLE, PAUSE_FAILED, HOST_DISK_FULL
   * @throws SANDBOX_STATE unless the sandbox is RUNNING or PAUSED.
   */
  async fork(
    teamId: string,
    sandboxId: string,
    count: number,
    signal: AbortSignal,
  ): Promise<Forked[]> {
    const { host, sandboxes, inFlight, background, teamSandboxesMax } = this.#parts;
    const parent = await this.#findParent(teamId, sandboxId);
    await host.requireHost(parent.hostId);
    signal.throwIfAborted();
    const planned = Array.from({ length: count }, () => toCopy(parent));
    const ids = planned.map(({ id }) => id);
    // Held before the rows exist, so that the reconciler never sees them unattended.
    return background.track(
      inFlight.holdAll(ids, async () => {
        const copies = await sandboxes.create(planned, teamSandboxesMax);
        return this.#start(parent, copies, signal);
      }),
    );
  }

  async #findParent(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const parent = await this.#parts.sandboxes.find(teamId, sandboxId);
    if (!parent) throw sandboxNotFound(sandboxId);
    if (parent.state !== 'RUNNING' && parent.state !== 'PAUSED') {
      throw wrongState(parent, 'RUNNING', 'PAUSED');
    }
    return parent;
  }

  async #start(
    parent: SandboxRecord,
    copies: readonly SandboxRecord[],
    signal: AbortSignal,
  ): Promise<Forked[]> {
    try {
      const childIds = copies.map(({ id }) => id);
      const { results } = await this.#parts.host.forkSandbox({ sandboxId: parent.id, childIds });
      signal.throwIfAborted();
      const pairs = copies.map((copy, index) => ({ copy, result: results[index] }));
      return await mapConcurrently(pairs, ROWS_AT_ONCE_MAX, ({ copy, result }) =>
        this.#finish(copy, result),
      );
    } catch (error) {
      await mapConcurrently(copies, ROWS_AT_ONCE_MAX, (copy) => this.#clearAway(copy));
      throw error;
    }
  }

  async #finish(copy: SandboxRecord, answer: ForkResult | undefined): Promise<Forked> {
    const result = answer?.result;
    if (result?.$case === 'sandbox') {
      const changed = await this.#parts.sandboxes.change(copy, toRunning(result.value));
      return changed ?? sandboxConflict(copy.id);
    }
    await this.#clearAway(copy);
    return fromForkError(reasonName(result?.value.reason ?? 0));
  }

  /** What fails here the reconciler does again. */
  async #clearAway(copy: SandboxRecord): Promise<void> {
    const { sandboxes, remover, log } = this.#parts;
    try {
      const deleting = await sandboxes.change(copy, { state: 'DELETING' });
      if (deleting) await remover.remove(deleting);
    } catch (error) {
      log.warn('failed copy not cleared away yet', { sandbox_id: copy.id, error });
    }
  }
}

function toCopy(parent: SandboxRecord): NewSandbox {
  const { teamId, templateId, hostId, vcpus, memoryMb, timeoutSec, onTimeout, metadata } = parent;
  const shape = { vcpus, memoryMb, timeoutSec, onTimeout, metadata };
  return { id: randomId(), teamId, templateId, hostId, ...shape };
}
