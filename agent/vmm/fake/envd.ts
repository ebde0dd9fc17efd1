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
import {
  GuestServiceService,
  type PostInitRequest,
  type PostRestoreRequest,
} from '../../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService, type StartRequest } from '../../../gen/ts/wrenn/envd/v1/process.js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { FaultPlan, FaultStep } from '../../../lib/faults/fault-plan.js';
import { ENVD_MESSAGE_BYTES_MAX, ENVD_TOKEN_KEY } from '../../../lib/guest/contract.js';
import { guestFailure } from '../../../lib/guest/guest-failure.js';
import { silentLog } from '../../../lib/log/log.js';
import type { CallContext } from '../../../lib/rpc/call-context.js';
import { serve } from '../../../lib/rpc/service.js';
import { type FakeGuest, initialize, MACHINE_ID_PATH, restore } from './become-sandbox.js';
import { Gate } from './gate.js';
import { type FakeGuestState, runFakeProgram, USERS } from './run.js';

const VERSION = 'fake';
const GUEST_SERVICE_PATH = '/wrenn.envd.v1.GuestService/';
/** Machine id of every fake template; a clone gets its own. */
const MACHINE_ID = '0123456789abcdef0123456789abcdef\n';

/** Where a guest's files are that are not in its memory. */
export interface GuestDisk {
  holds(path: string): boolean;
  write(path: string, content: Buffer): Promise<void>;
}

type ExportedState = Omit<FakeGuestState, 'files'> & {
  token?: string;
  files: Record<string, string>;
};

const NO_DISK: GuestDisk = { holds: () => false, write: async () => undefined };

export class FakeEnvd {
  readonly #faults: FaultPlan;
  readonly #disk: GuestDisk;
  readonly #gate = new Gate();
  readonly #guest: FakeGuestState = {
    hostname: 'wrenn',
    env: {},
    files: new Map([[MACHINE_ID_PATH, Buffer.from(MACHINE_ID)]]),
  };
  #server: Server | undefined;
  #token: string | undefined;
  #hangs = false;

  constructor(faults: FaultPlan, disk = NO_DISK) {
    this.#faults = faults;
    this.#disk = disk;
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

  /** Holds all calls, also those under way, until `thaw`. Idempotent. */
  freeze(): void {
    this.#gate.close();
  }

  thaw(): void {
    this.#gate.open();
  }

  /** All that the guest's memory holds, as JSON; what lies on its disk is no part of it. */
  exportState(): string {
    const { files, ...rest } = this.#guest;
    const inMemory = [...files].filter(([path]) => !this.#disk.holds(path));
    const contents = inMemory.map(([path, content]) => [path, content.toString('base64')]);
    return JSON.stringify({ token: this.#token, ...rest, files: Object.fromEntries(contents) });
  }

  /** Makes the guest one whose state was exported. */
  importState(text: string): void {
    const { token, files, ...rest } = JSON.parse(text) as ExportedState;
    this.#token = token;
    Object.assign(this.#guest, rest);
    this.#guest.files.clear();
    for (const [path, content] of Object.entries(files)) {
      this.#guest.files.set(path, Buffer.from(content, 'base64'));
    }
  }

  /** Shows the guest what is on its disk. */
  mountFiles(files: ReadonlyMap<string, Buffer>): void {
    for (const [path, content] of files) this.#guest.files.set(path, content);
  }

  async #authenticate(path: string, metadata: Metadata): Promise<undefined> {
    if (this.#hangs) await new Promise(() => undefined);
    await this.#gate.pass();
    if (path === GuestServiceService.getHealth.path) return;
    if (this.#token === undefined) {
      // Until there is a token anybody may make the guest a sandbox.
      if (path.startsWith(GUEST_SERVICE_PATH)) return;
      throw new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', 'not initialized');
    }
    if (metadata.get(ENVD_TOKEN_KEY)[0] === this.#token) return;
    throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', 'not the token in force');
  }

  #guestHandlers() {
    return {
      getHealth: async ({ signal }: CallContext) => {
        await this.#reach('guest.health', signal);
        return { version: VERSION, initialized: this.#token !== undefined };
      },
      postInit: async ({ signal }: CallContext, request: PostInitRequest) => {
        await this.#reach('guest.post_init', signal);
        return initialize(this.#asSandbox(), request);
      },
      postRestore: async ({ signal }: CallContext, request: PostRestoreRequest) => {
        await this.#reach('guest.post_restore', signal);
        return restore(this.#asSandbox(), request);
      },
    };
  }

  #asSandbox(): FakeGuest {
    return {
      state: this.#guest,
      setToken: (token) => {
        this.#token = token;
      },
      writeFile: (path, content) => this.#write(path, content),
    };
  }

  #processHandlers() {
    const reach = (signal: AbortSignal) => this.#reach('guest.start', signal);
    const guest = this.#guest;
    const gate = this.#gate;
    return {
      async *start({ signal }: CallContext, request: StartRequest) {
        await reach(signal);
        for await (const event of runFakeProgram(guest, request, signal)) {
          await gate.pass();
          yield event;
        }
      },
    };
  }

  async #reach(step: FaultStep, signal: AbortSignal): Promise<void> {
    await this.#faults.reach(step, signal);
    await this.#gate.pass();
  }

  async #write(path: string, content: Buffer): Promise<void> {
    if (this.#disk.holds(path)) await this.#disk.write(path, content);
    this.#guest.files.set(path, content);
  }

  #fileHandlers() {
    const { files } = this.#guest;
    return {
      writeFile: async ({ signal }: CallContext, request: WriteFileRequest) => {
        await this.#reach('guest.write_file', signal);
        const { path, content, user } = request;
        if (!USERS.has(user || 'root')) throw guestFailure('file_user_unknown');
        if (isDirectory(files, path)) throw guestFailure('file_is_directory');
        for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
          if (files.has(parent)) throw guestFailure('file_parent');
        }
        await this.#write(path, content);
        return { sizeBytes: content.length };
      },
      readFile: async ({ signal }: CallContext, { path, sizeBytesMax }: ReadFileRequest) => {
        await this.#reach('guest.read_file', signal);
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
