import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { ApiKeys } from './api-keys.js';
import { Auth } from './auth.js';
import { type CallOptions, Connection } from './connection.js';
import { Files } from './files.js';
import { type ExecOptions, type ExecResult, exec, Processes } from './processes.js';
import { Sandboxes } from './sandboxes.js';
import { Snapshots } from './snapshots.js';

/** Where a control plane listens when nobody says otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:7071';

export interface WrennClientOptions {
  /** gRPC address of the control plane: `host:port` or `unix:/path`. */
  address?: string;
  /** API key, for sandboxes, snapshots, programs and files. */
  apiKey?: string | undefined;
  /** Access token of a user, for API keys and `auth.me()`. */
  accessToken?: string | undefined;
  /** Transport security; plain text when left out. */
  credentials?: ChannelCredentials;
}

/**
 * A client of Wrenn's public API. It connects at the first call; call `close()`
 * when done, or the process stays alive. Every method throws WrennApiError.
 */
export class WrennClient {
  readonly auth: Auth;
  readonly apiKeys: ApiKeys;
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly processes: Processes;
  readonly files: Files;
  readonly #connection: Connection;

  constructor(options: WrennClientOptions = {}) {
    this.#connection = new Connection(
      options.address ?? DEFAULT_ADDRESS,
      options.credentials ?? credentials.createInsecure(),
      options,
    );
    this.auth = new Auth(this.#connection);
    this.apiKeys = new ApiKeys(this.#connection);
    this.sandboxes = new Sandboxes(this.#connection);
    this.snapshots = new Snapshots(this.#connection);
    this.processes = new Processes(this.#connection);
    this.files = new Files(this.#connection);
  }

  /** Runs a program in a sandbox to its end. An exit code other than 0 is a result, not an error. */
  exec(sandboxId: string, command: ExecOptions, options?: CallOptions): Promise<ExecResult> {
    return exec(this.#connection, sandboxId, command, options);
  }

  /** Ends the connection; calls under way fail. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
