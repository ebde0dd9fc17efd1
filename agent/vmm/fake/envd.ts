/**
 * A guest daemon inside the agent's own process: the real contract, over a
 * Unix socket, with a filesystem in memory and a few programs (programs.ts).
 */
import { dirname } from 'node:path';
import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  ReadFileRequest,
  WriteFileRequest,
} from '../../../gen/ts/wrenn/envd/v1/filesystem.js';
import { FilesystemServiceService } from '../../../gen/ts/wrenn/envd/v1/filesystem.js';
import { GuestServiceService, type PostInitRequest } from '../../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService, type StartRequest } from '../../../gen/ts/wrenn/envd/v1/process.js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { FaultPlan } from '../../../lib/faults/fault-plan.js';
import { ENVD_MESSAGE_BYTES_MAX, ENVD_TOKEN_KEY } from '../../../lib/guest/contract.js';
import { guestFailure } from '../../../lib/guest/guest-failure.js';
import { silentLog } from '../../../lib/log/log.js';
import type { CallContext } from '../../../lib/rpc/call-context.js';
import { serve } from '../../../lib/rpc/service.js';
import { type FakeGuestState, runFakeProgram, USERS } from './run.js';

const VERSION = 'fake';
/** Steps of PostInit, as the real daemon reports them. */
const STEPS = ['token', 'hostname', 'environment', 'template_id', 'sandbox_id', 'wall_clock'];

export class FakeEnvd {
  readonly #faults: FaultPlan;
  readonly #guest: FakeGuestState = { hostname: 'wrenn', env: {}, files: new Map() };
  #server: Server | undefined;
  #token: string | undefined;
  #hangs = false;

  constructor(faults: FaultPlan) {
    this.#faults = faults;
  }

  /** Serves on a Unix socket, as a guest whose boot is done. */
  async listen(socketPath: string): Promise<void> {
    const server = new Server({ 'grpc.max_receive_message_length': ENVD_MESSAGE_BYTES_MAX });
    this.#server = server;
    const log = silentLog;
    const authenticate = (path: string, metadata: Metadata) => this.#authenticate(path, metadata);
    serve(server, GuestServiceService, this.#guestHandlers(), { log, authenticate });
    serve(server, ProcessServiceService, this.#processHandlers(), { log, authenticate });
    serve(server, FilesystemServiceService, this.#fileHandlers(), { log, authenticate });
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Ends it at once, with all calls, as the end of a VMM does. */
  close(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  /** Leaves every call from now on without an answer. */
  hang(): void {
    this.#hangs = true;
  }

  async #authenticate(path: string, metadata: Metadata): Promise<undefined> {
    if (this.#hangs) await new Promise(() => undefined);
    if (path === GuestServiceService.getHealth.path) return;
    if (this.#token === undefined) {
      if (path === GuestServiceService.postInit.path) return;
      throw new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', 'not initialized');
    }
    if (metadata.get(ENVD_TOKEN_KEY)[0] === this.#token) return;
    throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', 'not the token in force');
  }

  #guestHandlers() {
    return {
      getHealth: async ({ signal }: CallContext) => {
        await this.#faults.reach('guest.health', signal);
        return { version: VERSION, initialized: this.#token !== undefined };
      },
      postInit: async ({ signal }: CallContext, request: PostInitRequest) => {
        await this.#faults.reach('guest.post_init', signal);
        this.#token = request.token;
        this.#guest.hostname = request.sandboxId;
        this.#guest.env = request.env;
        this.#guest.files.set('/run/wrenn/.WRENN_TEMPLATE_ID', Buffer.from(request.templateId));
        this.#guest.files.set('/run/wrenn/.WRENN_SANDBOX', Buffer.from(request.sandboxId));
        return { steps: STEPS.map((name) => ({ name, durationMs: 0, error: '' })) };
      },
    };
  }

  #processHandlers() {
    const faults = this.#faults;
    const guest = this.#guest;
    return {
      async *start({ signal }: CallContext, request: StartRequest) {
        await faults.reach('guest.start', signal);
        yield* runFakeProgram(guest, request, signal);
      },
    };
  }

  #fileHandlers() {
    const { files } = this.#guest;
    return {
      writeFile: async ({ signal }: CallContext, request: WriteFileRequest) => {
        await this.#faults.reach('guest.write_file', signal);
        const { path, content, user } = request;
        if (!USERS.has(user || 'root')) throw guestFailure('file_user_unknown');
        if (isDirectory(files, path)) throw guestFailure('file_is_directory');
        for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
          if (files.has(parent)) throw guestFailure('file_parent');
        }
        files.set(path, content);
        return { sizeBytes: content.length };
      },
      readFile: async ({ signal }: CallContext, { path, sizeBytesMax }: ReadFileRequest) => {
        await this.#faults.reach('guest.read_file', signal);
        if (isDirectory(files, path)) throw guestFailure('file_is_directory');
        const content = files.get(path);
        if (!content) throw guestFailure('file_not_found');
        if (content.length > sizeBytesMax) throw guestFailure('file_too_large');
        return { content };
      },
    };
  }
}

/** A folder is what has a file in it, and the root. */
function isDirectory(files: ReadonlyMap<string, Buffer>, path: string): boolean {
  const prefix = path.endsWith('/') ? path : `${path}/`;
  return prefix === '/' || [...files.keys()].some((other) => other.startsWith(prefix));
}
