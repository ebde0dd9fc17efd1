/** The calls of one team to its sandboxes and snapshots, with all that a test leaves open filled in. */
import {
  ResumeMode,
  type Sandbox,
  type SandboxState,
  TimeoutAction,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import type { ClientCallOptions } from '../../lib/rpc/client.js';
import { type Account, type Clients, plainSandbox, sandboxPage } from './control-plane.js';

const NO_ACTION = TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED;
const WARM = ResumeMode.RESUME_MODE_UNSPECIFIED;

export class SandboxCalls {
  readonly #clients: () => Clients;
  readonly #options: ClientCallOptions;

  /** @param clients asked at each call: a restart makes new ones. */
  constructor(clients: () => Clients, { asTeam }: Account, options: ClientCallOptions = asTeam) {
    this.#clients = clients;
    this.#options = options;
  }

  create(fields: Parameters<typeof plainSandbox>[0] = {}): Promise<Sandbox> {
    return this.#clients().sandboxes.createSandbox(plainSandbox(fields), this.#options);
  }

  get(sandboxId: string): Promise<Sandbox> {
    return this.#clients().sandboxes.getSandbox({ sandboxId }, this.#options);
  }

  async stateOf(sandboxId: string): Promise<SandboxState> {
    return (await this.get(sandboxId)).state;
  }

  async list(): Promise<Sandbox[]> {
    return (await this.#clients().sandboxes.listSandboxes(sandboxPage(), this.#options)).sandboxes;
  }

  remove(sandboxId: string) {
    return this.#clients().sandboxes.deleteSandbox({ sandboxId }, this.#options);
  }

  ping(sandboxId: string) {
    return this.#clients().sandboxes.pingSandbox({ sandboxId }, this.#options);
  }

  pause(sandboxId: string, signal?: AbortSignal) {
    const options = signal ? { ...this.#options, signal } : this.#options;
    return this.#clients().sandboxes.pauseSandbox({ sandboxId }, options);
  }

  resume(sandboxId: string, mode = WARM, signal?: AbortSignal) {
    const options = signal ? { ...this.#options, signal } : this.#options;
    return this.#clients().sandboxes.resumeSandbox({ sandboxId, mode }, options);
  }

  setTimeout(sandboxId: string, timeoutSec: number, onTimeout = NO_ACTION) {
    const request = { sandboxId, timeoutSec, onTimeout };
    return this.#clients().sandboxes.setSandboxTimeout(request, this.#options);
  }

  fork(sandboxId: string, count: number, signal?: AbortSignal) {
    const options = signal ? { ...this.#options, signal } : this.#options;
    return this.#clients().sandboxes.forkSandbox({ sandboxId, count }, options);
  }

  generations(sandboxId: string) {
    return this.#clients().sandboxes.listGenerations({ sandboxId }, this.#options);
  }

  verify(sandboxId: string) {
    return this.#clients().sandboxes.verifyGeneration({ sandboxId }, this.#options);
  }

  exec(sandboxId: string) {
    const nothing = { args: [], timeoutSec: 0, env: {}, cwd: '', user: '', stdin: Buffer.alloc(0) };
    const request = { sandboxId, cmd: 'true', ...nothing };
    return this.#clients().processes.exec(request, this.#options);
  }

  snapshot(sandboxId: string, name = '', signal?: AbortSignal) {
    const options = signal ? { ...this.#options, signal } : this.#options;
    return this.#clients().snapshots.createSnapshot({ sandboxId, name }, options);
  }

  getSnapshot(snapshotId: string) {
    return this.#clients().snapshots.getSnapshot({ snapshotId }, this.#options);
  }

  async listSnapshots() {
    return (
      await this.#clients().snapshots.listSnapshots({ pageSize: 0, pageToken: '' }, this.#options)
    ).snapshots;
  }

  removeSnapshot(snapshotId: string) {
    return this.#clients().snapshots.deleteSnapshot({ snapshotId }, this.#options);
  }
}
