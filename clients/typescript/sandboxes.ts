import {
  CreateSandboxRequest,
  ListSandboxesRequest,
  type ListSandboxesResponse,
  type Sandbox,
  SandboxServiceService as Service,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CallOptions, Connection } from './connection.js';
import { eachOfPages, type PageOptions } from './pages.js';

/** A boot may wait for others, and is slow under software emulation. */
const CREATE_TIMEOUT_MS = 600_000;
const DELETE_TIMEOUT_MS = 60_000;

/** What to start; everything left out has the server's default. */
export type CreateSandboxOptions = Partial<CreateSandboxRequest>;

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
  listPage(page: PageOptions = {}, options?: CallOptions): Promise<ListSandboxesResponse> {
    return this.#connection.call(
      Service.listSandboxes,
      ListSandboxesRequest.fromPartial(page),
      options,
    );
  }

  /** All of the team's sandboxes, newest first, fetched page by page. */
  list(options?: CallOptions): AsyncIterable<Sandbox> {
    return eachOfPages(async (pageToken) => {
      const page = await this.listPage({ pageToken }, options);
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
}
