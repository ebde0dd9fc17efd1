/** The sandboxes and snapshots of the host agent in memory: states and fencing as the real one keeps them. */
import {
  type Generation,
  type Sandbox,
  SandboxState,
  type Snapshot,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, type Reason, reasonName, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { ChangeCounter } from '../../lib/lifecycle/change-counter.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';

const { SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED, SANDBOX_STATE_ENDED } = SandboxState;

export class FakeSandboxes {
  readonly byId = new Map<string, Sandbox>();
  readonly snapshots = new Map<string, Snapshot>();
  readonly generations = new Map<string, Generation[]>();
  readonly changes = new ChangeCounter();
  /** What is under way and ends when the sandbox is destroyed. */
  readonly #under = new Map<string, AbortController>();
  readonly #buried = new Set<string>();

  clear(): void {
    this.byId.clear();
    this.snapshots.clear();
    this.generations.clear();
    this.changes.bump();
  }

  set(sandboxId: string, fields: Partial<Sandbox>): Sandbox {
    const base = this.byId.get(sandboxId) ?? emptySandbox(sandboxId);
    const sandbox = { ...base, ...fields };
    this.byId.set(sandboxId, sandbox);
    this.changes.bump();
    return sandbox;
  }

  require(sandboxId: string): Sandbox {
    const sandbox = this.byId.get(sandboxId);
    if (!sandbox) throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'agent text');
    return sandbox;
  }

  requireState(sandboxId: string, ...states: SandboxState[]): Sandbox {
    const sandbox = this.require(sandboxId);
    if (states.includes(sandbox.state)) return sandbox;
    const state = SandboxState[sandbox.state].slice('SANDBOX_STATE_'.length);
    throw new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', 'agent text', {
      metadata: { state, end_reason: reasonName(sandbox.endReason) },
    });
  }

  /** Takes note of a command's generation. @throws STALE_GENERATION for an older one. */
  fence(sandboxId: string, generation: number): void {
    const sandbox = this.require(sandboxId);
    if (generation < sandbox.generation) throw stale();
    this.set(sandboxId, { generation });
  }

  /** @throws STALE_GENERATION for an id that was destroyed, SANDBOX_EXISTS for one that is there. */
  requireNew(sandboxId: string): void {
    if (this.#buried.has(sandboxId)) throw stale();
    if (this.byId.has(sandboxId)) {
      throw new WrennError(Code.ALREADY_EXISTS, 'SANDBOX_EXISTS', 'agent text');
    }
  }

  /**
   * Leads a sandbox through a state to another one. A failed step leads to `back`,
   * a destroyed sandbox nowhere.
   */
  async pass(
    sandboxId: string,
    { via, to, back }: { via: SandboxState; to: Partial<Sandbox>; back?: Partial<Sandbox> },
    step: (signal: AbortSignal) => Promise<void>,
  ): Promise<Sandbox> {
    this.set(sandboxId, { state: via });
    const under = new AbortController();
    this.#under.set(sandboxId, under);
    try {
      await step(under.signal);
      under.signal.throwIfAborted();
    } catch (error) {
      if (back && !under.signal.aborted) this.set(sandboxId, back);
      else this.forget(sandboxId);
      throw error;
    } finally {
      this.#under.delete(sandboxId);
    }
    return this.set(sandboxId, to);
  }

  destroy(sandboxId: string): void {
    this.#buried.add(sandboxId);
    this.#under.get(sandboxId)?.abort(destroyedMeanwhile());
    this.forget(sandboxId);
  }

  forget(sandboxId: string): void {
    this.byId.delete(sandboxId);
    this.changes.bump();
  }

  /** Makes a sandbox end by itself. */
  end(sandboxId: string, reason: Reason): void {
    this.require(sandboxId);
    this.set(sandboxId, { state: SANDBOX_STATE_ENDED, endReason: reasonNumber(reason) });
  }

  /** Makes the inactivity timeout pass. What is not running is left alone. */
  expire(sandboxId: string): void {
    const { state, pauseOnTimeout } = this.require(sandboxId);
    if (state !== SANDBOX_STATE_RUNNING) return;
    if (pauseOnTimeout) {
      this.seal(sandboxId);
      this.set(sandboxId, asPaused('SANDBOX_TIMEOUT'));
    } else {
      this.end(sandboxId, 'SANDBOX_TIMEOUT');
    }
  }

  /** Adds a generation. */
  seal(sandboxId: string): void {
    const before = this.generations.get(sandboxId) ?? [];
    const generation = {
      generationId: `generation${before.length}`,
      createdAt: toTimestamp(Date.now()),
      memoryBytes: 4096,
      diskBytes: 8192,
    };
    this.generations.set(sandboxId, [...before, generation]);
  }
}

/** Fields of a paused sandbox. */
export function asPaused(reason: Reason = 'UNSPECIFIED'): Partial<Sandbox> {
  return {
    ...{ state: SANDBOX_STATE_PAUSED, pauseReason: reasonNumber(reason) },
    ...{ pausedAt: toTimestamp(Date.now()), guestIp: '', hostIp: '' },
  };
}

/** Fields of a running sandbox. */
export function asRunning(): Partial<Sandbox> {
  return {
    ...{ state: SANDBOX_STATE_RUNNING, pauseReason: reasonNumber('UNSPECIFIED') },
    ...{ pausedAt: undefined, guestIp: '10.192.0.2', hostIp: '10.192.0.1' },
  };
}

function emptySandbox(sandboxId: string): Sandbox {
  return {
    sandboxId,
    state: SANDBOX_STATE_RUNNING,
    endReason: reasonNumber('UNSPECIFIED'),
    template: 'minimal',
    vcpus: 1,
    memoryMb: 512,
    timeoutSec: 0,
    guestIp: '10.192.0.2',
    hostIp: '10.192.0.1',
    createdAt: toTimestamp(Date.now()),
    startedAt: toTimestamp(Date.now()),
    lastActiveAt: toTimestamp(Date.now()),
    generation: 1,
    pauseOnTimeout: false,
    pausedAt: undefined,
    pauseReason: reasonNumber('UNSPECIFIED'),
    diskFull: false,
  };
}

function stale(): WrennError {
  return new WrennError(Code.ABORTED, 'STALE_GENERATION', 'agent text');
}

function destroyedMeanwhile(): WrennError {
  return new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'agent text');
}
