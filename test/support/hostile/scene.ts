/** What hostile input must leave as it is: the platform, what its team has, and this process. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { SandboxState } from '../../../gen/ts/wrenn/v1/sandbox.js';
import { type Account, plainSandbox } from '../control-plane.js';
import { eventually } from '../eventually.js';
import { residentBytes } from '../process-memory.js';
import { GrpcCaller } from './grpc-caller.js';
import { HttpCaller } from './http-caller.js';
import { type LocalPlatform, startLocalPlatform } from './local-platform.js';
import { FOLDER, type Names } from './requests.js';

/** What this process, which is client and servers at once, may grow by over all requests. */
const GROWTH_BYTES_MAX = 768 * 1024 * 1024;
const PAGE = { pageSize: 0, pageToken: '' };
const CANARY = { path: '/root/canary', content: Buffer.from('as it was') };
/** Files of the host that paths of the corpus lead to. */
const HOST_FILES = ['/etc/passwd', '/root/.ssh/id_rsa', FOLDER, '/a', '/tmp/file'];

export class Scene implements AsyncDisposable {
  readonly platform: LocalPlatform;
  readonly account: Account;
  readonly names: Names;
  readonly grpc: GrpcCaller;
  readonly http: HttpCaller;
  readonly agent: GrpcCaller;
  #before: unknown;
  #residentBytes = 0;

  private constructor(platform: LocalPlatform, account: Account, names: Names) {
    this.platform = platform;
    this.account = account;
    this.names = names;
    this.grpc = new GrpcCaller(platform.grpcAddress);
    this.http = new HttpCaller(platform.httpPort);
    this.agent = new GrpcCaller(platform.agentTarget);
  }

  static async open(): Promise<Scene> {
    const platform = await startLocalPlatform();
    const account = await platform.signUp();
    const { sandboxes, processes, files } = platform.clients;
    const { asTeam, email } = account;
    const { sandboxId } = await sandboxes.createSandbox(plainSandbox(), asTeam);
    const program = { cmd: 'true', args: [], env: {}, cwd: '', user: '', timeoutSec: 0 };
    const process = { ...program, pty: undefined, closeStdin: true };
    const { processId } = await processes.start({ sandboxId, process }, asTeam);
    const { path, content: file } = CANARY;
    await files.writeFile({ sandboxId, path, file, user: '', mode: 0 }, asTeam);
    await files.writeFile({ sandboxId, path: `${FOLDER}/file`, file, user: '', mode: 0 }, asTeam);
    const scene = new Scene(platform, account, { sandboxId, processId, email });
    scene.#before = await scene.#census();
    scene.#residentBytes = await residentBytes(globalThis.process.pid);
    return scene;
  }

  /** Headers with both credentials, of which each method takes its own. */
  get headers(): Record<string, string> {
    const { key, session } = this.account;
    return { 'x-api-key': key, authorization: `Bearer ${session.accessToken}` };
  }

  /** @throws AssertionError when something is not as it was. Keys and sandboxes that calls have rightly made go. */
  async expectUnchanged(): Promise<void> {
    await this.#deleteWhatWasMade();
    const { sandboxId } = this.names;
    const { sandboxes, files } = this.platform.clients;
    const { asTeam } = this.account;
    const idle = { sandboxId, timeoutSec: 0, onTimeout: 1 };
    const { state } = await sandboxes.setSandboxTimeout(idle, asTeam);
    expect(state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    const { data } = await files.readFile({ sandboxId, path: CANARY.path }, asTeam);
    expect(data.toString()).to.equal(CANARY.content.toString());
    // What a deleted sandbox had goes in the background.
    await eventually(async () => expect(await this.#census()).to.deep.equal(this.#before));
    expect(Reflect.get({}, 'polluted')).to.equal(undefined);
    expect(Object.keys(Object.prototype)).to.deep.equal([]);
    expect(this.platform.faults.slice(0, 5)).to.deep.equal([]);
    const grown = (await residentBytes(process.pid)) - this.#residentBytes;
    expect(grown).to.be.below(GROWTH_BYTES_MAX);
  }

  async #census() {
    const { sandboxes, snapshots, apiKeys } = this.platform.clients;
    const { asTeam, asUser } = this.account;
    const listed = await sandboxes.listSandboxes({ ...PAGE, states: [], metadata: [] }, asTeam);
    return {
      sandboxes: listed.sandboxes.map((sandbox) => sandbox.sandboxId),
      snapshots: (await snapshots.listSnapshots(PAGE, asTeam)).snapshots.map(({ name }) => name),
      keys: (await apiKeys.listApiKeys(PAGE, asUser)).apiKeys.map(({ apiKeyId }) => apiKeyId),
      paths: (await readdir(this.platform.directory, { recursive: true })).sort(),
      host: HOST_FILES.map((path) => hostFile(path)),
    };
  }

  async #deleteWhatWasMade(): Promise<void> {
    const { apiKeys, sandboxes } = this.platform.clients;
    const { asUser, asTeam, apiKeyId: own } = this.account;
    const all = { ...PAGE, states: [], metadata: [] };
    for (const { sandboxId } of (await sandboxes.listSandboxes(all, asTeam)).sandboxes) {
      if (sandboxId !== this.names.sandboxId) await sandboxes.deleteSandbox({ sandboxId }, asTeam);
    }
    const listed = await apiKeys.listApiKeys(PAGE, asUser);
    for (const { apiKeyId } of listed.apiKeys) {
      if (apiKeyId !== own) await apiKeys.deleteApiKey({ apiKeyId }, asUser);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Machines of the fake driver live in this process and would keep it going.
    const { sandboxId } = this.names;
    await this.platform.clients.sandboxes.deleteSandbox({ sandboxId }, this.account.asTeam);
    for (const caller of [this.grpc, this.http, this.agent]) caller.close();
    await this.platform[Symbol.asyncDispose]();
  }
}

/** A digest of a file of the host, or whether there is something else. */
function hostFile(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return String(existsSync(path));
  }
}
