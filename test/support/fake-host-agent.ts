/**
 * A host agent in memory behind the real contract, on a real Unix socket. It
 * keeps sandboxes as the real one does; a test scripts what goes wrong.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  type CreateSandboxRequest,
  type ExecRequest,
  type ExecResponse,
  type Host,
  HostAgentServiceService,
  type Sandbox,
  SandboxState,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, type Reason, reasonNumber, WrennError } from '../../lib/errors/index.js';
import { ChangeCounter } from '../../lib/lifecycle/change-counter.js';
import { delay } from '../../lib/lifecycle/delay.js';
import { silentLog } from '../../lib/log/log.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { serve } from '../../lib/rpc/service.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import { createRequestCheck } from '../../lib/rpc/validation.js';

type AgentHandlers = Handlers<typeof HostAgentServiceService, undefined>;

/** What a test may change while the agent runs. */
export interface AgentScript {
  host: Host;
  complete: boolean;
  /** Runs before a boot succeeds; throws to fail it. The signal aborts when the boot is called off. */
  beforeBoot: (request: CreateSandboxRequest, signal: AbortSignal) => Promise<void>;
  beforeDestroy: (sandboxId: string) => Promise<void>;
  exec: (request: ExecRequest, signal: AbortSignal) => Promise<ExecResponse>;
}

export class FakeHostAgent {
  readonly socketPath: string;
  readonly sandboxes = new Map<string, Sandbox>();
  readonly files = new Map<string, Buffer>();
  /** Requests as they arrived, for assertions on what goes to the host. */
  readonly created: CreateSandboxRequest[] = [];
  readonly destroyed: string[] = [];
  readonly #boots = new Map<string, AbortController>();
  readonly #buried = new Set<string>();
  readonly #changes = new ChangeCounter();
  #server: Server | undefined;

  script: AgentScript = defaultScript();

  constructor(socketPath: string) {
    this.socketPath = socketPath;
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

  /** Forgets all sandboxes and goes back to doing what it is asked for. */
  reset(): void {
    this.script = defaultScript();
    this.sandboxes.clear();
    this.created.length = 0;
    this.destroyed.length = 0;
    this.#changes.bump();
  }

  /** Makes a sandbox end by itself. */
  end(sandboxId: string, reason: Reason): void {
    const sandbox = this.#require(sandboxId);
    sandbox.state = SandboxState.SANDBOX_STATE_ENDED;
    sandbox.endReason = reasonNumber(reason);
    this.#changes.bump();
  }

  /** Puts a sandbox there that nobody asked for. */
  plant(sandboxId: string, fields: Partial<Sandbox> = {}): void {
    this.sandboxes.set(sandboxId, { ...emptySandbox(sandboxId), ...fields });
    this.#changes.bump();
  }

  #handlers(): AgentHandlers {
    return {
      getHost: async () => this.script.host,
      createSandbox: async ({ signal }, request) => this.#create(request, signal),
      destroySandbox: async (_context, { sandboxId }) => {
        await this.script.beforeDestroy(sandboxId);
        this.#buried.add(sandboxId);
        this.#boots.get(sandboxId)?.abort(deletedWhileStarting());
        this.sandboxes.delete(sandboxId);
        this.destroyed.push(sandboxId);
        this.#changes.bump();
        return {};
      },
      listSandboxes: async () => ({
        sandboxes: [...this.sandboxes.values()],
        runId: this.script.host.runId,
        complete: this.script.complete,
      }),
      watchChanges: (context) => this.#watch(context.signal),
      pingSandbox: async (_context, { sandboxId }) => {
        const sandbox = this.#running(sandboxId);
        sandbox.lastActiveAt = toTimestamp(Date.now());
        return sandbox;
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
    };
  }

  async *#watch(signal: AbortSignal): AsyncIterable<Record<string, never>> {
    for (let seen = -1; ; ) {
      seen = await this.#changes.after(seen, signal);
      yield {};
    }
  }

  async #create(request: CreateSandboxRequest, signal: AbortSignal): Promise<Sandbox> {
    const { sandboxId } = request;
    if (this.#buried.has(sandboxId)) {
      throw new WrennError(Code.ABORTED, 'STALE_GENERATION', 'agent text');
    }
    if (this.sandboxes.has(sandboxId)) {
      throw new WrennError(Code.ALREADY_EXISTS, 'SANDBOX_EXISTS', 'agent text');
    }
    this.created.push(request);
    const boot = new AbortController();
    this.#boots.set(sandboxId, boot);
    this.plant(sandboxId, {
      ...request,
      state: SandboxState.SANDBOX_STATE_STARTING,
      startedAt: undefined,
    });
    try {
      const either = AbortSignal.any([signal, boot.signal]);
      await this.script.beforeBoot(request, either);
      either.throwIfAborted();
    } catch (error) {
      this.sandboxes.delete(sandboxId);
      this.#changes.bump();
      throw error;
    } finally {
      this.#boots.delete(sandboxId);
    }
    this.plant(sandboxId, { ...request });
    return this.#require(sandboxId);
  }

  #running(sandboxId: string): Sandbox {
    const sandbox = this.#require(sandboxId);
    if (sandbox.state === SandboxState.SANDBOX_STATE_RUNNING) return sandbox;
    const state = SandboxState[sandbox.state].slice('SANDBOX_STATE_'.length);
    throw new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', 'agent text', {
      metadata: { state, end_reason: reasonText(sandbox.endReason) },
    });
  }

  #require(sandboxId: string): Sandbox {
    const sandbox = this.sandboxes.get(sandboxId);
    if (!sandbox) throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'agent text');
    return sandbox;
  }
}

function defaultScript(): AgentScript {
  return {
    host: {
      hostId: 'fakehost',
      driver: 'fake',
      accelerator: 'none',
      templates: ['minimal'],
      runId: 'run1',
      memoryMbTotal: 1_000_000,
      memoryMbUsed: 0,
    },
    complete: true,
    beforeBoot: async () => undefined,
    beforeDestroy: async () => undefined,
    exec: async (request) => answerOf(`${[request.cmd, ...request.args].join(' ')}\n`),
  };
}

/** The answer of a program that printed this and ended with 0. */
export function answerOf(
  stdout: string | Buffer,
  fields: Partial<ExecResponse> = {},
): ExecResponse {
  return {
    stdout: Buffer.from(stdout as string),
    stderr: Buffer.alloc(0),
    stdoutTruncated: false,
    stderrTruncated: false,
    exitCode: 0,
    signal: '',
    durationMs: 1,
    ...fields,
  };
}

/** Resolves never, and rejects when the signal aborts. */
export async function untilAborted(signal: AbortSignal): Promise<never> {
  await delay(2 ** 31 - 1, signal);
  throw new Error('aborted signals reject');
}

function emptySandbox(sandboxId: string): Sandbox {
  return {
    sandboxId,
    state: SandboxState.SANDBOX_STATE_RUNNING,
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
  };
}

function reasonText(reason: number): string {
  return reason === reasonNumber('SANDBOX_TIMEOUT') ? 'SANDBOX_TIMEOUT' : 'VMM_EXITED';
}

function deletedWhileStarting(): WrennError {
  return new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'agent text');
}
