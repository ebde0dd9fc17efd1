/**
 * A host agent in memory behind the real contract, on a real Unix socket. It
 * keeps sandboxes and snapshots as the real one does; a test scripts what goes
 * wrong.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  type CreateSandboxRequest,
  type CreateSnapshotRequest,
  type ForkResult,
  type ForkSandboxRequest,
  HostAgentServiceService,
  type PauseSandboxRequest,
  type ResumeSandboxRequest,
  type ResumeSandboxResponse,
  type Sandbox,
  SandboxState,
  type Snapshot,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, type Reason, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { KeyedLock } from '../../lib/lifecycle/keyed-lock.js';
import { silentLog } from '../../lib/log/log.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { serve } from '../../lib/rpc/service.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import { createRequestCheck } from '../../lib/rpc/validation.js';
import { defaultScript } from './fake-host-agent-script.js';
import { asPaused, asRunning, FakeSandboxes } from './fake-host-sandboxes.js';
import { fileStreamHandlers, processStreamHandlers } from './fake-host-streams.js';

export { answerOf, untilAborted } from './fake-host-agent-script.js';

type AgentHandlers = Handlers<typeof HostAgentServiceService, undefined>;

const { SANDBOX_STATE_STARTING, SANDBOX_STATE_RUNNING } = SandboxState;
const { SANDBOX_STATE_PAUSING, SANDBOX_STATE_PAUSED, SANDBOX_STATE_RESUMING } = SandboxState;

/** Bytes that each snapshot takes. */
export const SNAPSHOT_BYTES = 12_345;

export class FakeHostAgent {
  readonly socketPath: string;
  readonly files = new Map<string, Buffer>();
  /** Requests as they arrived, for assertions on what goes to the host. */
  readonly created: CreateSandboxRequest[] = [];
  readonly destroyed: string[] = [];
  readonly paused: PauseSandboxRequest[] = [];
  readonly resumed: ResumeSandboxRequest[] = [];
  readonly forked: ForkSandboxRequest[] = [];
  readonly #model = new FakeSandboxes();
  readonly #locks = new KeyedLock();
  #server: Server | undefined;

  script = defaultScript();

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  get sandboxes(): Map<string, Sandbox> {
    return this.#model.byId;
  }

  get snapshots(): Map<string, Snapshot> {
    return this.#model.snapshots;
  }

  async start(): Promise<void> {
    const server = new Server();
    serve(server, HostAgentServiceService, this.#handlers(), {
      log: silentLog,
      authenticate: () => undefined,
      validate: createRequestCheck(),
    });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    this.#server = server;
  }

  /** Ends it as a crash would: calls under way break, the sandboxes stay. */
  async stop(): Promise<void> {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  /** Forgets all that it has and goes back to doing what it is asked for. */
  reset(): void {
    this.script = defaultScript();
    this.#model.clear();
    for (const seen of [this.created, this.destroyed, this.paused, this.resumed, this.forked]) {
      seen.length = 0;
    }
  }

  /** Makes a sandbox end by itself. */
  end(sandboxId: string, reason: Reason): void {
    this.#model.end(sandboxId, reason);
  }

  /** Makes the inactivity timeout of a sandbox pass. */
  expire(sandboxId: string): void {
    this.#model.expire(sandboxId);
  }

  /** Puts a sandbox there that nobody asked for, or changes one. */
  plant(sandboxId: string, fields: Partial<Sandbox> = {}): void {
    this.#model.set(sandboxId, fields);
  }

  #handlers(): AgentHandlers {
    const parts = {
      files: this.files,
      requireRunning: (sandboxId: string) => void this.#running(sandboxId),
    };
    return {
      ...{ ...this.#lifeHandlers(), ...this.#snapshotHandlers(), ...this.#useHandlers() },
      ...{ ...processStreamHandlers(parts), ...fileStreamHandlers(parts) },
    };
  }

  #lifeHandlers() {
    return {
      getHost: async () => this.script.host,
      createSandbox: async ({ signal }, request) => this.#create(request, signal),
      destroySandbox: async (_context, { sandboxId }) => {
        await this.script.beforeDestroy(sandboxId);
        this.#model.destroy(sandboxId);
        this.destroyed.push(sandboxId);
        return {};
      },
      listSandboxes: async () => ({
        sandboxes: [...this.sandboxes.values()],
        runId: this.script.host.runId,
        complete: this.script.complete,
      }),
      watchChanges: (context) => this.#watch(context.signal),
      pauseSandbox: (_context, request) =>
        this.#locks.run(request.sandboxId, () => this.#pause(request)),
      resumeSandbox: (_context, request) =>
        this.#locks.run(request.sandboxId, () => this.#resume(request)),
      forkSandbox: async (_context, request) => this.#fork(request),
    } satisfies Partial<AgentHandlers>;
  }

  #snapshotHandlers() {
    return {
      createSnapshot: async (_context, request) => this.#freeze(request),
      deleteSnapshot: async (_context, { snapshotId }) => {
        await this.script.beforeDeleteSnapshot(snapshotId);
        this.snapshots.delete(snapshotId);
        return {};
      },
      listGenerations: async (_context, { sandboxId }) => {
        this.#model.require(sandboxId);
        return { generations: this.#model.generations.get(sandboxId) ?? [] };
      },
      verifyGeneration: async (_context, { sandboxId }) => {
        this.#model.require(sandboxId);
        await this.script.verify(sandboxId);
        const newest = this.#model.generations.get(sandboxId)?.at(-1);
        return { generationId: newest?.generationId ?? '', verifiedBytes: 4096 };
      },
    } satisfies Partial<AgentHandlers>;
  }

  #useHandlers() {
    return {
      pingSandbox: async (_context, { sandboxId }) => {
        this.#running(sandboxId);
        return this.#model.set(sandboxId, { lastActiveAt: toTimestamp(Date.now()) });
      },
      setSandboxTimeout: async (_context, { sandboxId, timeoutSec, pauseOnTimeout }) => {
        this.#model.requireState(sandboxId, SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED);
        return this.#model.set(sandboxId, { timeoutSec, pauseOnTimeout });
      },
      exec: async ({ signal }, request) => {
        this.#running(request.sandboxId);
        return this.script.exec(request, signal);
      },
      writeFile: async (_context, { sandboxId, path, content }) => {
        this.#running(sandboxId);
        this.files.set(`${sandboxId}:${path}`, content);
        return { sizeBytes: content.length };
      },
      readFile: async (_context, { sandboxId, path }) => {
        this.#running(sandboxId);
        const content = this.files.get(`${sandboxId}:${path}`);
        if (!content) throw new WrennError(Code.NOT_FOUND, 'FILE_NOT_FOUND', 'agent text');
        return { content };
      },
    } satisfies Partial<AgentHandlers>;
  }

  async *#watch(signal: AbortSignal): AsyncIterable<Record<string, never>> {
    for (let seen = -1; ; ) {
      seen = await this.#model.changes.after(seen, signal);
      yield {};
    }
  }

  async #create(request: CreateSandboxRequest, signal: AbortSignal): Promise<Sandbox> {
    const { sandboxId, snapshotId } = request;
    this.#model.requireNew(sandboxId);
    if (snapshotId && !this.snapshots.has(snapshotId)) {
      throw new WrennError(Code.NOT_FOUND, 'SNAPSHOT_NOT_FOUND', 'agent text');
    }
    this.created.push(request);
    this.#model.set(sandboxId, { ...request, startedAt: undefined });
    const to = { state: SANDBOX_STATE_RUNNING, startedAt: toTimestamp(Date.now()) };
    return this.#model.pass(sandboxId, { via: SANDBOX_STATE_STARTING, to }, async (destroyed) => {
      const either = AbortSignal.any([signal, destroyed]);
      await this.script.beforeBoot(request, either);
      either.throwIfAborted();
    });
  }

  async #pause(request: PauseSandboxRequest): Promise<Sandbox> {
    const { sandboxId, generation } = request;
    this.paused.push(request);
    this.#model.fence(sandboxId, generation);
    const sandbox = this.#model.require(sandboxId);
    if (sandbox.state === SANDBOX_STATE_PAUSED) return sandbox;
    this.#running(sandboxId);
    const back = { state: SANDBOX_STATE_RUNNING };
    return this.#model.pass(
      sandboxId,
      { via: SANDBOX_STATE_PAUSING, to: asPaused(), back },
      async () => {
        await this.script.beforePause(request);
        this.#model.seal(sandboxId);
      },
    );
  }

  async #resume(request: ResumeSandboxRequest): Promise<ResumeSandboxResponse> {
    const { sandboxId, generation } = request;
    this.resumed.push(request);
    this.#model.fence(sandboxId, generation);
    const before = this.#model.require(sandboxId);
    if (before.state === SANDBOX_STATE_RUNNING) return { sandbox: before, steps: [] };
    this.#model.requireState(sandboxId, SANDBOX_STATE_PAUSED);
    const back = { state: SANDBOX_STATE_PAUSED };
    const sandbox = await this.#model.pass(
      sandboxId,
      { via: SANDBOX_STATE_RESUMING, to: asRunning(), back },
      (destroyed) => this.script.beforeResume(request, destroyed),
    );
    return { sandbox, steps: [{ name: 'wall_clock', durationMs: 1 }] };
  }

  async #freeze(request: CreateSnapshotRequest): Promise<Snapshot> {
    const { snapshotId, sandboxId } = request;
    const there = this.snapshots.get(snapshotId);
    if (there) return there;
    const sandbox = this.#model.requireState(
      sandboxId,
      SANDBOX_STATE_RUNNING,
      SANDBOX_STATE_PAUSED,
    );
    await this.script.beforeSnapshot(request);
    const { vcpus, memoryMb } = sandbox;
    const snapshot = { snapshotId, vcpus, memoryMb, sizeBytes: SNAPSHOT_BYTES };
    this.snapshots.set(snapshotId, snapshot);
    return snapshot;
  }

  async #fork(request: ForkSandboxRequest): Promise<{ results: ForkResult[] }> {
    this.forked.push(request);
    const { sandboxId, childIds } = request;
    const parent = this.#model.requireState(sandboxId, SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED);
    await this.script.beforeFork(request);
    return { results: childIds.map((childId, index) => this.#copy(parent, childId, index)) };
  }

  #copy(parent: Sandbox, childId: string, index: number): ForkResult {
    const reason = this.script.forkFailure(index);
    if (reason) {
      const error = { code: Code.INTERNAL, reason: reasonNumber(reason) };
      return { result: { $case: 'error', value: error } };
    }
    this.#model.requireNew(childId);
    const fields = { ...parent, sandboxId: childId, generation: 1, ...asRunning() };
    return { result: { $case: 'sandbox', value: this.#model.set(childId, fields) } };
  }

  #running(sandboxId: string): Sandbox {
    return this.#model.requireState(sandboxId, SANDBOX_STATE_RUNNING);
  }
}
