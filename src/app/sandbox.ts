/** Looking at sandboxes, using them and deleting them. */
import { hasReason } from '../../lib/errors/index.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import { GONE_REASONS } from '../hosts/agent-errors.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { Page, PageRequest } from '../store/page.js';
import {
  ACTIVITY_RESOLUTION_SEC,
  type SandboxRecord,
  type SandboxStore,
} from '../store/sandbox.js';
import type { Background } from './background.js';
import type { InFlight } from './in-flight.js';
import { sandboxConflict, sandboxNotFound, wrongState } from './sandbox-errors.js';
import type { SandboxRemover } from './sandbox-remover.js';

/** Times that a delete reads the sandbox anew because its state changed meanwhile. */
const DELETE_ATTEMPTS_MAX = 10;

export interface SandboxParts {
  sandboxes: SandboxStore;
  host: HostAgent;
  remover: SandboxRemover;
  inFlight: InFlight;
  background: Background;
  /** Asks for a pass of the reconciler. */
  nudge: () => void;
}

export class SandboxOperations {
  readonly #parts: SandboxParts;

  constructor(parts: SandboxParts) {
    this.#parts = parts;
  }

  /** @throws SANDBOX_NOT_FOUND, also for another team's sandbox. */
  async get(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const sandbox = await this.#parts.sandboxes.find(teamId, sandboxId);
    if (!sandbox) throw sandboxNotFound(sandboxId);
    return sandbox;
  }

  async list(teamId: string, page: PageRequest): Promise<Page<SandboxRecord>> {
    return this.#parts.sandboxes.list(teamId, page);
  }

  /** Starts the inactivity timeout anew. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE */
  async ping(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const { lastActiveAt } = await this.use(teamId, sandboxId, () =>
      this.#parts.host.pingSandbox(sandboxId),
    );
    const sandbox = await this.get(teamId, sandboxId);
    // The host knows the exact time, the database a rounded one.
    return lastActiveAt
      ? { ...sandbox, lastActiveAt: new Date(fromTimestamp(lastActiveAt)) }
      : sandbox;
  }

  /**
   * Makes a call to a running sandbox. It counts as activity.
   * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_UNAVAILABLE, and what the call rejects with.
   */
  async use<T>(teamId: string, sandboxId: string, call: () => Promise<T>): Promise<T> {
    const sandbox = await this.get(teamId, sandboxId);
    if (sandbox.state !== 'RUNNING') throw wrongState(sandboxId, sandbox.state);
    this.#noteActivity(sandbox);
    try {
      return await call();
    } catch (error) {
      if (hasReason(error, ...GONE_REASONS)) {
        // That this host does not have it says nothing about a sandbox of another one.
        await this.#parts.host.requireHost(sandbox.hostId);
        // The host knows more than the database: let the reconciler write it down.
        this.#parts.nudge();
      }
      throw error;
    }
  }

  /**
   * Deletes a sandbox in whatever state; it goes on when the caller goes away.
   * @throws SANDBOX_NOT_FOUND for one that is gone already.
   * @throws HOST_UNAVAILABLE: it is DELETING and will be gone when the host is back.
   */
  async delete(teamId: string, sandboxId: string): Promise<void> {
    const { inFlight, background, remover } = this.#parts;
    await background.track(
      inFlight.hold(sandboxId, async () => {
        await remover.remove(await this.#markDeleting(teamId, sandboxId));
      }),
    );
  }

  async #markDeleting(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    for (let attempt = 1; attempt <= DELETE_ATTEMPTS_MAX; attempt += 1) {
      const sandbox = await this.get(teamId, sandboxId);
      if (sandbox.state === 'DELETING') return sandbox;
      const changed = await this.#parts.sandboxes.change(sandbox, { state: 'DELETING' });
      if (changed) return changed;
    }
    throw sandboxConflict(sandboxId);
  }

  #noteActivity({ id, teamId, lastActiveAt }: SandboxRecord): void {
    if (Date.now() - lastActiveAt.getTime() < ACTIVITY_RESOLUTION_SEC * 1000) return;
    this.#parts.background.detach(
      'activity of sandbox not noted',
      this.#parts.sandboxes.markActive(teamId, id),
    );
  }
}
