/**
 * A guest daemon inside the agent's own process: the real contract, over a
 * Unix socket, with a filesystem in memory and a few programs. All that it is
 * can be written down, and goes on in another machine: files, launched
 * programs with their output and input, and the guest's own time.
 */
import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { FilesystemServiceService } from '../../../gen/ts/wrenn/envd/v1/filesystem.js';
import {
  GuestServiceService,
  type PostInitRequest,
  type PostRestoreRequest,
} from '../../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService } from '../../../gen/ts/wrenn/envd/v1/process.js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { FaultPlan } from '../../../lib/faults/fault-plan.js';
import { ENVD_MESSAGE_BYTES_MAX, ENVD_TOKEN_KEY } from '../../../lib/guest/contract.js';
import { silentLog } from '../../../lib/log/log.js';
import type { CallContext } from '../../../lib/rpc/call-context.js';
import { serve } from '../../../lib/rpc/service.js';
import { type FakeGuest, initialize, MACHINE_ID_PATH, restore } from './become-sandbox.js';
import { FakeCalls } from './calls.js';
import { GuestClock } from './clock.js';
import { FakeFiles, type GuestDisk, NO_DISK } from './files/files.js';
import { fileHandlers } from './files/service.js';
import { FakeProcesses, type ProcessesState } from './processes/processes.js';
import { processHandlers } from './processes/service.js';

const VERSION = 'fake';
/** All who call over a Unix socket have the same name, and no stream outlives a restore. */
const NO_PEER = '';
const GUEST_SERVICE_PATH = '/wrenn.envd.v1.GuestService/';
/** Machine id of every fake template; a clone gets its own. */
const MACHINE_ID = '0123456789abcdef0123456789abcdef\n';

interface ExportedState {
  token?: string;
  hostname: string;
  env: Record<string, string>;
  /** What is at each path, in the form of encodeEntry. */
  files: Record<string, string>;
  processes?: ProcessesState;
}

export class FakeEnvd {
  readonly #calls: FakeCalls;
  readonly #clock = new GuestClock();
  readonly #files: FakeFiles;
  readonly #identity = { hostname: 'wrenn', env: {} as Record<string, string> };
  readonly #processes: FakeProcesses;
  #server: Server | undefined;
  #token: string | undefined;
  #hangs = false;

  constructor(faults: FaultPlan, disk: GuestDisk = NO_DISK) {
    this.#calls = new FakeCalls(faults);
    this.#files = new FakeFiles(disk);
    this.#files.mount(new Map([[MACHINE_ID_PATH, Buffer.from(MACHINE_ID)]]));
    this.#processes = new FakeProcesses({
      calls: this.#calls,
      clock: this.#clock,
      hostname: () => this.#identity.hostname,
      env: () => this.#identity.env,
      readFile: (path) => this.#files.read(path),
      isDirectory: (path) => this.#files.isDirectory(path),
    });
  }

  /** Serves on a Unix socket, as a guest whose boot is done. */
  async listen(socketPath: string): Promise<void> {
    const server = new Server({ 'grpc.max_receive_message_length': ENVD_MESSAGE_BYTES_MAX });
    this.#server = server;
    const log = silentLog;
    const authenticate = (path: string, metadata: Metadata) => this.#authenticate(path, metadata);
    const options = { log, authenticate };
    serve(server, GuestServiceService, this.#guestHandlers(), options);
    serve(server, ProcessServiceService, processHandlers(this.#processes, this.#calls), options);
    serve(server, FilesystemServiceService, fileHandlers(this.#files, this.#calls), options);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Ends it at once, with all calls and programs, as the end of a VMM does. */
  close(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#processes.close();
  }

  /** Leaves every call from now on without an answer. */
  hang(): void {
    this.#hangs = true;
  }

  /** Holds all calls, also those under way, and all programs, until `thaw`. Idempotent. */
  freeze(): void {
    this.#calls.freeze();
    this.#clock.stop();
  }

  /** Idempotent. */
  thaw(): void {
    this.#clock.start();
    this.#calls.thaw();
  }

  /** All that the guest's memory holds, as JSON; what lies on its disk is no part of it. */
  exportState(): string {
    const processes = this.#processes.export();
    const state: ExportedState = {
      ...(this.#token === undefined ? {} : { token: this.#token }),
      ...this.#identity,
      files: this.#files.export(),
      ...(processes ? { processes } : {}),
    };
    return JSON.stringify(state);
  }

  /** Makes the guest one whose state was exported. */
  importState(text: string): void {
    const { token, files, hostname, env, processes } = JSON.parse(text) as ExportedState;
    this.#token = token;
    Object.assign(this.#identity, { hostname, env });
    this.#files.import(files);
    if (processes) this.#processes.import(processes);
  }

  /** Shows the guest what is on its disk. */
  mountFiles(files: ReadonlyMap<string, Buffer>): void {
    this.#files.mount(files);
  }

  async #authenticate(path: string, metadata: Metadata): Promise<undefined> {
    if (this.#hangs) await new Promise(() => undefined);
    await this.#calls.pass();
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
        await this.#calls.reach('guest.health', signal);
        return { version: VERSION, initialized: this.#token !== undefined };
      },
      postInit: async ({ signal }: CallContext, request: PostInitRequest) => {
        await this.#calls.reach('guest.post_init', signal);
        return initialize(this.#asSandbox(), request);
      },
      postRestore: async ({ signal }: CallContext, request: PostRestoreRequest) => {
        await this.#calls.reach('guest.post_restore', signal);
        const answer = await restore(this.#asSandbox(), request);
        this.#processes.launched.expectHoldersToReturn(NO_PEER);
        this.#calls.breakStreams();
        return answer;
      },
    };
  }

  #asSandbox(): FakeGuest {
    return {
      state: this.#identity,
      setToken: (token) => {
        this.#token = token;
      },
      writeFile: (path, content) => this.#files.write({ path, content, user: '', mode: 0 }),
    };
  }
}
