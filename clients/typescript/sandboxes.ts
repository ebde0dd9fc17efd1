import {
  CreateSandboxRequest,
  ForkSandboxRequest,
  type ForkSandboxResponse,
  type Generation,
  ListSandboxesRequest,
  type ListSandboxesResponse,
  ResumeMode,
  ResumeSandboxRequest,
  type ResumeSandboxResponse,
  type Sandbox,
  type SandboxState,
  SandboxServiceService as Service,
  SetSandboxTimeoutRequest,
  type TimeoutAction,
  type VerifyGenerationResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CallOptions, Connection } from './connection.js';
import { eachOfPages, type PageOptions } from './pages.js';

/** A boot may wait for others, and is slow under software emulation. */
const CREATE_TIMEOUT_MS = 600_000;
const DELETE_TIMEOUT_MS = 60_000;
/** Memory is written to the host's disk, and may be merged there. */
const PAUSE_TIMEOUT_MS = 600_000;
/** A guest that is emulated comes back slowly, and a cold one boots. */
const RESUME_TIMEOUT_MS = 600_000;
/** Up to a hundred copies, a few at a time. */
const FORK_TIMEOUT_MS = 1_800_000;
/** A generation is read as a whole. */
const VERIFY_TIMEOUT_MS = 600_000;

/** What to start; everything left out has the server's default. */
export type CreateSandboxOptions = Partial<CreateSandboxRequest>;

/** How a sandbox comes back. */
export interface ResumeOptions {
  /** Boots the guest from its disk as it was, without its memory. */
  cold?: boolean;
}

/** Which sandboxes a list holds; all when nothing is given. */
export interface SandboxFilter {
  /** Only those in one of these states. */
  states?: readonly SandboxState[];
  /** Only those whose metadata holds all of these. */
  metadata?: Readonly<Record<string, string>>;
}

/** MicroVMs, each with its own kernel, disk and network. The client needs an API key. */
export class Sandboxes {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Starts a sandbox and resolves when it takes commands. */
  create(sandbox: CreateSandboxOptions = {}, options?: CallOptions): Promise<Sandbox> {
    return this.#connection.call(Service.createSandbox, CreateSandboxRequest.fromPartial(sandbox), {
      timeoutMs: CREATE_TIMEOUT_MS,
      ...options,
    });
  }

  get(sandboxId: string, options?: CallOptions): Promise<Sandbox> {
    return this.#connection.call(Service.getSandbox, { sandboxId }, options);
  }

  /** One page of the team's sandboxes, newest first. */
  listPage(
    { states = [], metadata = {}, ...page }: PageOptions & SandboxFilter = {},
    options?: CallOptions,
  ): Promise<ListSandboxesResponse> {
    const request = ListSandboxesRequest.fromPartial({
      ...page,
      states: [...states],
      metadata: Object.entries(metadata).map(([key, value]) => `${key}=${value}`),
    });
    return this.#connection.call(Service.listSandboxes, request, options);
  }

  /** All of the team's sandboxes that pass the filter, newest first, fetched page by page. */
  list(filter: SandboxFilter = {}, options?: CallOptions): AsyncIterable<Sandbox> {
    return eachOfPages(async (pageToken) => {
      const page = await this.listPage({ ...filter, pageToken }, options);
      return { items: page.sandboxes, nextPageToken: page.nextPageToken };
    });
  }

  /** Ends a sandbox and deletes its disk. It is final. */
  async delete(sandboxId: string, options?: CallOptions): Promise<void> {
    await this.#connection.call(
      Service.deleteSandbox,
      { sandboxId },
      { timeoutMs: DELETE_TIMEOUT_MS, ...options },
    );
  }

  /** Starts the sandbox's inactivity timeout anew. */
  ping(sandboxId: string, options?: CallOptions): Promise<Sandbox> {
    return this.#connection.call(Service.pingSandbox, { sandboxId }, options);
  }

  /**
   * Freezes memory and disk, keeps them, and gives everything else back to the
   * host. A sandbox that is paused already is no error.
   */
  pause(sandboxId: string, options?: CallOptions): Promise<Sandbox> {
    return this.#connection.call(
      Service.pauseSandbox,
      { sandboxId },
      { timeoutMs: PAUSE_TIMEOUT_MS, ...options },
    );
  }

  /**
   * Brings a paused sandbox back and resolves when it takes commands. A running
   * one is no error. The answer lists what was done in its guest.
   */
  resume(
    sandboxId: string,
    { cold = false }: ResumeOptions = {},
    options?: CallOptions,
  ): Promise<ResumeSandboxResponse> {
    const mode = cold ? ResumeMode.RESUME_MODE_COLD : ResumeMode.RESUME_MODE_WARM;
    const request = ResumeSandboxRequest.fromPartial({ sandboxId, mode });
    return this.#connection.call(Service.resumeSandbox, request, {
      timeoutMs: RESUME_TIMEOUT_MS,
      ...options,
    });
  }

  /**
   * Starts copies of a running or paused sandbox, which goes on. All begin with
   * its memory and disk of one instant. A copy that could not be started is a
   * result with an `error`, and no rejection.
   * @param count 1 to 100.
   */
  fork(sandboxId: string, count = 1, options?: CallOptions): Promise<ForkSandboxResponse> {
    const request = ForkSandboxRequest.fromPartial({ sandboxId, count });
    return this.#connection.call(Service.forkSandbox, request, {
      timeoutMs: FORK_TIMEOUT_MS,
      ...options,
    });
  }

  /**
   * Changes the inactivity timeout and starts it anew.
   * @param timeoutSec seconds; 0 means never.
   * @param onTimeout what happens then; as it is when left out.
   */
  setTimeout(
    sandboxId: string,
    timeoutSec: number,
    onTimeout?: TimeoutAction,
    options?: CallOptions,
  ): Promise<Sandbox> {
    const request = SetSandboxTimeoutRequest.fromPartial({
      sandboxId,
      timeoutSec,
      ...(onTimeout === undefined ? {} : { onTimeout }),
    });
    return this.#connection.call(Service.setSandboxTimeout, request, options);
  }

  /** What the sandbox's memory and disk are made of, oldest first; a resume starts from the last. */
  async generations(sandboxId: string, options?: CallOptions): Promise<Generation[]> {
    const { generations } = await this.#connection.call(
      Service.listGenerations,
      { sandboxId },
      options,
    );
    return generations;
  }

  /**
   * Compares the newest generation with its checksums. What is damaged rejects
   * with DATA_LOSS, reason SNAPSHOT_DAMAGED, and its name in the metadata `artifact`.
   */
  verifyGeneration(sandboxId: string, options?: CallOptions): Promise<VerifyGenerationResponse> {
    return this.#connection.call(
      Service.verifyGeneration,
      { sandboxId },
      { timeoutMs: VERIFY_TIMEOUT_MS, ...options },
    );
  }
}
