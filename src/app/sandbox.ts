/** Looking at sandboxes, using them and deleting them. */
import type {
  ListGenerationsResponse,
  VerifyGenerationResponse,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { hasReason } from '../../lib/errors/index.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import { GONE_REASONS } from '../hosts/agent-errors.js';
import type { HostAgent } from '../hosts/host-agent.js';
import type { Page, PageRequest } from '../store/page.js';
import {
  ACTIVITY_RESOLUTION_SEC,
  type SandboxFilter,
  type SandboxRecord,
  type SandboxState,
  type SandboxStore,
  type TimeoutAction,
} from '../store/sandbox.js';
import type { Background } from './background.js';
import type { InFlight } from './in-flight.js';
import type { OpenStreams, StreamCaller } from './open-streams.js';
import { sandboxConflict, sandboxNotFound, wrongState } from './sandbox-errors.js';
import type { SandboxRemover } from './sandbox-remover.js';

/** Times that a delete reads the sandbox anew because its state changed meanwhile. */
const DELETE_ATTEMPTS_MAX = 10;
/** States in which a host has memory and disk of a sandbox. */
const KEPT: readonly SandboxState[] = ['RUNNING', 'PAUSED'];
/** Answers of a host that knows more than the database. */
const NEWS_REASONS = [...GONE_REASONS, 'SANDBOX_STATE'] as const;

export interface SandboxParts {
  sandboxes: SandboxStore;
  host: HostAgent;
  remover: SandboxRemover;
  inFlight: InFlight;
  background: Background;
  streams: OpenStreams;
  /** Asks for a pass of the reconciler. */
  nudge: () => void;
}

export class SandboxOperations {
  readonly #parts: SandboxParts;
  /** Changes of one sandbox's timeout reach host and database in the same order. */
  readonly #timeouts = new KeyedLock();

  constructor(parts: SandboxParts) {
    this.#parts = parts;
  }

  /** @throws SANDBOX_NOT_FOUND, also for another team's sandbox. */
  async get(teamId: string, sandboxId: string): Promise<SandboxRecord> {
    const sandbox = await this.#parts.sandboxes.find(teamId, sandboxId);
    if (!sandbox) throw sandboxNotFound(sandboxId);
    return sandbox;
  }

  async list(
    teamId: string,
    page: PageRequest,
    filter: SandboxFilter = {},
  ): Promise<Page<SandboxRecord>> {
    return this.#parts.sandboxes.list(teamId, page, filter);
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
   * Changes the inactivity timeout of a running or paused sandbox and starts it anew.
   * @param onTimeout what it was when undefined.
   * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_UNAVAILABLE
   */
  async setTimeout(
    teamId: string,
    sandboxId: string,
    wish: { timeoutSec: number; onTimeout: TimeoutAction | undefined },
  ): Promise<SandboxRecord> {
    const { sandboxes, host, background } = this.#parts;
    const change = async () => {
      const sandbox = await this.#require(teamId, sandboxId, KEPT);
      const { timeoutSec, onTimeout = sandbox.onTimeout } = wish;
      const pauseOnTimeout = onTimeout === 'pause';
      await this.#call(sandbox, () =>
        host.setSandboxTimeout({ sandboxId, timeoutSec, pauseOnTimeout }),
      );
      const changed = await sandboxes.setTimeout(sandbox, { timeoutSec, onTimeout });
      if (!changed) throw sandboxConflict(sandboxId);
      return changed;
    };
    return background.track(this.#timeouts.run(sandboxId, change));
  }

  /** What memory and disk are made of, oldest first. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_UNAVAILABLE */
  async listGenerations(teamId: string, sandboxId: string): Promise<ListGenerationsResponse> {
    const sandbox = await this.#require(teamId, sandboxId, KEPT);
    return this.#call(sandbox, () => this.#parts.host.listGenerations(sandboxId));
  }

  /** Compares the newest generation with its checksums. @throws SNAPSHOT_DAMAGED naming what is damaged. */
  async verifyGeneration(
    teamId: string,
    sandboxId: string,
    signal: AbortSignal,
  ): Promise<VerifyGenerationResponse> {
    const sandbox = await this.#require(teamId, sandboxId, KEPT);
    return this.#call(sandbox, () => this.#parts.host.verifyGeneration(sandboxId, signal));
  }

  /**
   * Makes a call to a running sandbox. It counts as activity.
   * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_UNAVAILABLE, and what the call rejects with.
   */
  async use<T>(teamId: string, sandboxId: string, call: () => Promise<T>): Promise<T> {
    const sandbox = await this.#require(teamId, sandboxId, ['RUNNING']);
    this.#noteActivity(sandbox);
    return this.#call(sandbox, call);
  }

  /**
   * Opens a stream into a running sandbox. It counts as activity and among the team's streams,
   * and ends when its API key is deleted.
   * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, HOST_UNAVAILABLE, and what the stream throws.
   */
  async *stream<T>(
    caller: StreamCaller,
    sandboxId: string,
    open: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, void> {
    const stream = this.#parts.streams.open(caller);
    try {
      const sandbox = await this.#require(caller.teamId, sandboxId, ['RUNNING']);
      this.#noteActivity(sandbox);
      yield* this.#heeding(sandbox, open(stream.signal));
    } catch (error) {
      throw stream.explain(error);
    } finally {
      stream.close();
    }
  }

  /** The same for a stream into the sandbox that has one answer. */
  async upload<T>(
    caller: StreamCaller,
    sandboxId: string,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const stream = this.#parts.streams.openUpload(caller);
    try {
      return await this.use(caller.teamId, sandboxId, () => call(stream.signal));
    } catch (error) {
      throw stream.explain(error);
    } finally {
      stream.close();
    }
  }

  async #require(
    teamId: string,
    sandboxId: string,
    states: readonly SandboxState[],
  ): Promise<SandboxRecord> {
    const sandbox = await this.get(teamId, sandboxId);
    if (!states.includes(sandbox.state)) throw wrongState(sandbox, ...states);
    return sandbox;
  }

  async #call<T>(sandbox: SandboxRecord, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      await this.#heed(sandbox, error);
      throw error;
    }
  }

  async *#heeding<T>(
    sandbox: SandboxRecord,
    stream: AsyncIterable<T>,
  ): AsyncGenerator<T, void, void> {
    try {
      yield* stream;
    } catch (error) {
      await this.#heed(sandbox, error);
      throw error;
    }
  }

  /** The host may know more than the database: then the reconciler writes it down. */
  async #heed({ hostId }: { hostId: string }, error: unknown): Promise<void> {
    if (!hasReason(error, ...NEWS_REASONS)) return;
    // That this host does not have it says nothing about a sandbox of another one.
    await this.#parts.host.requireHost(hostId);
    this.#parts.nudge();
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
