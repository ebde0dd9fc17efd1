/**
 * A whole platform as an operator runs it: `wrenn up` with its Postgres, agent
 * and control plane as real processes, in folders of its own and on free ports.
 * Images are shared with the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { WrennClient } from '../../clients/typescript/index.js';
import type { Sandbox } from '../../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotType } from '../../gen/ts/wrenn/v1/snapshot.js';
import { packageRoot } from '../../lib/files/package-root.js';
import {
  CENSUS_KINDS,
  type Census,
  type CensusKind,
  expectNoLeaks,
  takeCensus,
} from './census/census.js';
import { eventually } from './eventually.js';
import { SmallFilesystem } from './small-filesystem.js';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.js';

/** The set-up of an embedded Postgres on a busy machine takes a while. */
const UP_TIMEOUT_MS = 120_000;
const DOWN_TIMEOUT_MS = 60_000;

/** What stands in the command line of each process. */
const PROCESSES = {
  agent: 'dist/agent/main.js',
  'control plane': 'dist/src/main.js',
  postgres: 'native/bin/postgres',
} as const;
/** What is collected in the background, on a busy machine. */
const COLLECT_TIMEOUT_MS = 30_000;
const COLLECT_PAUSE_MS = 250;
/** What is there for a sandbox or a snapshot, and for nothing else. */
const SANDBOX_KINDS: readonly CensusKind[] = [
  ...['namespace', 'cgroup', 'ledger entry', 'fault descriptor'],
  ...['ref', 'generation', 'memory build', 'disk layer'],
] as CensusKind[];
/** The census of a machine on which this platform is not. */
const NOTHING = Object.fromEntries(CENSUS_KINDS.map((kind) => [kind, []])) as unknown as Census;

export type PlatformProcess = keyof typeof PROCESSES | 'up';

export interface PlatformOptions {
  /** Settings over the usual ones. */
  settings?: Record<string, string>;
  /** Size in MiB of a file system of its own for the state, all but the database. */
  stateMb?: number;
}

export class TestPlatform implements AsyncDisposable {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly #folder: TemporaryDirectory;
  #stateDisk: SmallFilesystem | undefined;
  #up: ChildProcess | undefined;
  #client: WrennClient | undefined;
  httpUrl = '';
  grpcAddress = '';
  apiKey = '';

  private constructor(folder: TemporaryDirectory, environment: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.directory = folder.path;
    this.environment = environment;
  }

  /** Starts a platform and waits until it takes calls. */
  static async start({ settings = {}, stateMb }: PlatformOptions = {}): Promise<TestPlatform> {
    const folder = await temporaryDirectory('wrenn-e2e-');
    // Every VMM has a user of its own, who must be able to enter.
    await chmod(folder.path, 0o711);
    const environment = {
      ...process.env,
      WRENN_STATE_DIR: join(folder.path, 'state'),
      WRENN_RUN_DIR: join(folder.path, 'run'),
      WRENN_CONFIG_DIR: join(folder.path, 'config'),
      WRENN_HTTP_ADDRESS: `127.0.0.1:${await freePort()}`,
      WRENN_GRPC_ADDRESS: `127.0.0.1:${await freePort()}`,
      WRENN_NETWORK_POOL_SIZE: '0',
      WRENN_RECONCILE_INTERVAL_MS: '1000',
      ...settings,
    };
    const platform = new TestPlatform(folder, environment);
    try {
      if (stateMb !== undefined) await platform.#mountState(stateMb);
      await platform.up();
    } catch (error) {
      await platform.#stateDisk?.[Symbol.asyncDispose]();
      await folder.remove();
      throw error;
    }
    return platform;
  }

  /** The file system of the state. @throws Error when it has none of its own. */
  get stateDisk(): SmallFilesystem {
    if (!this.#stateDisk) throw new Error('the state has no file system of its own');
    return this.#stateDisk;
  }

  async #mountState(sizeMb: number): Promise<void> {
    const state = join(this.directory, 'state');
    const database = join(this.directory, 'database');
    this.#stateDisk = await SmallFilesystem.mount(state, sizeMb);
    await mkdir(database, { mode: 0o700 });
    await symlink(database, join(state, 'postgres'));
  }

  /** Runs `wrenn up` and waits until it says that it is ready. */
  async up(): Promise<void> {
    const child = spawn(join(packageRoot(), 'bin', 'wrenn'), ['--json', 'up'], {
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#up = child;
    const errors: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
    const line = await Promise.race([
      once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(UP_TIMEOUT_MS) }),
      once(child, 'exit').then(() => {
        throw new Error(`wrenn up ended: ${errors.join('')}`);
      }),
    ]);
    const ready = JSON.parse(String(line[0])) as Record<string, string>;
    this.httpUrl = `http://${ready.http_address}`;
    this.grpcAddress = ready.grpc_address ?? '';
    this.apiKey = ready.api_key ?? '';
  }

  /** A client with the platform's API key. */
  get client(): WrennClient {
    this.#client ??= new WrennClient({ address: this.grpcAddress, apiKey: this.apiKey });
    return this.#client;
  }

  /** Process id of a part that runs. @throws Error when none or several run. */
  pid(part: PlatformProcess): number {
    if (part === 'up') {
      if (this.#up?.pid === undefined) throw new Error('wrenn up does not run');
      return this.#up.pid;
    }
    const pids = this.processes().filter(
      ({ command, parent }) => command.includes(PROCESSES[part]) && !this.#isOwn(parent, part),
    );
    if (pids.length !== 1 || !pids[0]) throw new Error(`${pids.length} processes of ${part} run`);
    return pids[0].pid;
  }

  /** Every process whose environment or command line names this platform's folders. */
  processes(): { pid: number; parent: number; command: string }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const command = readProc(name, 'cmdline').replaceAll('\0', ' ');
        const belongs = `${command}${readProc(name, 'environ')}`.includes(this.directory);
        const parent = Number(/\) \S (\d+)/.exec(readProc(name, 'stat'))?.[1] ?? 0);
        return belongs ? [{ pid: Number(name), parent, command }] : [];
      });
  }

  /** Kills a part as an out-of-memory killer would. */
  kill(part: PlatformProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
    process.kill(this.pid(part), signal);
  }

  /** Process id of a sandbox's VMM, from its ledger entry. */
  async vmmPid(sandboxId: string): Promise<number> {
    const path = join(this.directory, 'run', 'ledger', `${sandboxId}.json`);
    const { entry } = JSON.parse(await readFile(path, 'utf8')) as {
      entry: { machine?: { pid: number } };
    };
    if (!entry.machine?.pid) throw new Error(`the ledger has no machine of ${sandboxId}`);
    return entry.machine.pid;
  }

  /** Runs `echo` in the sandbox until it answers. */
  async answers(sandboxId: string, timeoutMs = 60_000): Promise<void> {
    await eventually(
      async () => {
        const { stdoutText } = await this.client.exec(sandboxId, { cmd: 'echo', args: ['alive'] });
        if (stdoutText !== 'alive\n') throw new Error(`echo answered ${stdoutText}`);
      },
      { timeoutMs, pauseMs: 200 },
    );
  }

  /** The API's view of a sandbox. */
  get(sandboxId: string): Promise<Sandbox> {
    return this.client.sandboxes.get(sandboxId);
  }

  /** Folder in which the agent keeps generations and disk layers. */
  get snapshotsFolder(): string {
    return join(this.directory, 'state', 'snapshots');
  }

  /**
   * Deletes all sandboxes and snapshots.
   * @throws AssertionError naming what sandboxes and snapshots have left behind, warm templates aside.
   */
  async expectNothingLeft(): Promise<void> {
    for await (const { sandboxId } of this.client.sandboxes.list()) {
      await this.client.sandboxes.delete(sandboxId);
    }
    for await (const { snapshotId, type } of this.client.snapshots.list()) {
      if (type === SnapshotType.SNAPSHOT_TYPE_SNAPSHOT) {
        await this.client.snapshots.delete(snapshotId);
      }
    }
    await eventually(
      async () => {
        const census = await this.census();
        for (const kind of SANDBOX_KINDS) expect(census[kind], kind).to.deep.equal([]);
      },
      { timeoutMs: COLLECT_TIMEOUT_MS, pauseMs: COLLECT_PAUSE_MS },
    );
  }

  /** Everything of this platform on the machine. */
  async census(): Promise<Census> {
    return await takeCensus({
      instanceIds: [await this.#instanceId()],
      directories: [this.directory],
    });
  }

  /** Waits for the end of `wrenn up`. */
  async ended(): Promise<void> {
    if (!this.#up || !this.#isUp()) return;
    await once(this.#up, 'exit', { signal: AbortSignal.timeout(DOWN_TIMEOUT_MS) });
  }

  #isUp(): boolean {
    return this.#up?.exitCode === null && this.#up.signalCode === null;
  }

  /** Runs `wrenn` with this platform's settings and returns what it printed. */
  async wrenn(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const child = spawn(join(packageRoot(), 'bin', 'wrenn'), args, {
      env: { ...this.environment, WRENN_API_KEY: this.apiKey },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode: exitCode ?? -1, ...output };
  }

  /**
   * Deletes all sandboxes, stops everything and removes the folders.
   * @throws AssertionError naming everything that is left on the machine after that.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // An agent that was killed by a test that failed since may not be back yet.
    if (this.#isUp()) await this.#agentListens().catch(() => undefined);
    this.#client?.close();
    const instanceIds = [await this.#instanceId()];
    const reset = await this.wrenn('reset', '--yes');
    await this.ended();
    if (reset.exitCode !== 0) throw new Error(`wrenn reset: ${reset.stderr}`);
    await this.#stateDisk?.[Symbol.asyncDispose]();
    await this.#folder.remove();
    const left = await takeCensus({ instanceIds, directories: [this.directory] });
    expectNoLeaks(NOTHING, { ...left, port: left.port.filter((line) => this.#isOwnPort(line)) });
  }

  /** A census counts the ports of all that this test process has started, of other platforms too. */
  #isOwnPort(line: string): boolean {
    return this.processes().some(({ pid }) => line.includes(` of ${pid} `));
  }

  /** Waits until an agent takes calls. */
  async #agentListens(): Promise<void> {
    const path = join(this.directory, 'run', 'agent.sock');
    await eventually(
      async () => {
        const socket = connect(path);
        try {
          await once(socket, 'connect');
        } finally {
          socket.destroy();
        }
      },
      { timeoutMs: DOWN_TIMEOUT_MS, pauseMs: COLLECT_PAUSE_MS },
    );
  }

  async #instanceId(): Promise<string> {
    const path = join(this.directory, 'state', 'instance.json');
    const { instanceId } = JSON.parse(await readFile(path, 'utf8')) as { instanceId: string };
    return instanceId;
  }

  /** Postgres has children of the same name. */
  #isOwn(parent: number, part: keyof typeof PROCESSES): boolean {
    return readProc(String(parent), 'cmdline').replaceAll('\0', ' ').includes(PROCESSES[part]);
  }
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no address');
  return address.port;
}
