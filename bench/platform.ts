/**
 * A platform for one benchmark, run as an operator runs it: `wrenn up` in a
 * process of its own, so that nothing but the calls themselves works in the
 * process that takes the times.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import type { PlatformConfig } from '../cli/config.js';
import { WrennClient } from '../clients/typescript/index.js';
import { type Host, HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { packageRoot } from '../lib/files/package-root.js';
import { type Claim, claimDirectory } from '../lib/lifecycle/claim.js';
import { run } from '../lib/process/run.js';
import { createClient, type RpcClient } from '../lib/rpc/client.js';
import { BackgroundProcess } from './background-process.js';
import { benchConfig, type Driver, type Settings } from './place.js';

/** The set-up of an embedded Postgres on a busy machine takes a while. */
const UP_TIMEOUT_MS = 180_000;
const DOWN_TIMEOUT_MS = 180_000;
const HOST_TIMEOUT_MS = 10_000;
const CLAIM_ROLE = 'bench';
const WRENN = [process.execPath, join(packageRoot(), 'bin', 'wrenn')] as const;

/** What `wrenn --json up` prints. */
interface Ready {
  http_address: string;
  grpc_address: string;
  api_key: string;
}

/** What it prints on standard error when it fails. */
interface CliFailure {
  error: { message: string };
}

export type AgentClient = RpcClient<typeof HostAgentServiceService>;

export class BenchPlatform implements AsyncDisposable {
  readonly config: PlatformConfig;
  /** Client of the public API, with an API key. */
  readonly client: WrennClient;
  /** Client of the host agent, on its Unix socket. */
  readonly agent: AgentClient;
  readonly httpAddress: string;
  readonly grpcAddress: string;
  readonly apiKey: string;
  readonly #up: BackgroundProcess;
  readonly #claim: Claim;
  #keepsFolders = false;

  private constructor(config: PlatformConfig, up: BackgroundProcess, claim: Claim, ready: Ready) {
    this.config = config;
    this.#up = up;
    this.#claim = claim;
    this.httpAddress = ready.http_address;
    this.grpcAddress = ready.grpc_address;
    this.apiKey = ready.api_key;
    this.client = new WrennClient({ address: ready.grpc_address, apiKey: ready.api_key });
    this.agent = createClient(
      HostAgentServiceService,
      `unix:${config.agentSocketPath}`,
      credentials.createInsecure(),
    );
  }

  /**
   * Starts a platform and waits until it takes calls, after it has removed what
   * a killed benchmark left behind.
   * @throws Error that says what is missing, also when another benchmark runs.
   */
  static async start(driver: Driver, settings: Settings = {}): Promise<BenchPlatform> {
    const config = await benchConfig(driver, settings);
    const claim = await claimDirectory(CLAIM_ROLE, config.stateDirectory);
    try {
      if (existsSync(join(config.stateDirectory, 'instance.json'))) await takeDown(config);
      await removeFolders(config);
      const command = [...WRENN, '--json', 'up'];
      const { environment } = config;
      const up = new BackgroundProcess({ command, environment, deathSignal: 'TERM' });
      const ready = JSON.parse(await readyLine(up)) as Ready;
      return new BenchPlatform(config, up, claim, ready);
    } catch (error) {
      await claim.release();
      throw error;
    }
  }

  /** The machine as its agent describes it. */
  async host(): Promise<Host> {
    return await this.agent.getHost({}, { timeoutMs: HOST_TIMEOUT_MS });
  }

  /** Leaves the logs behind. @returns their folder. */
  keepLogs(): string {
    this.#keepsFolders = true;
    return join(this.config.stateDirectory, 'logs');
  }

  /** Deletes all sandboxes, stops everything and removes the folders. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    this.agent.close();
    await takeDown(this.config);
    await this.#up.waitForEnd(DOWN_TIMEOUT_MS);
    if (!this.#keepsFolders) await removeFolders(this.config);
    await this.#claim.release();
  }
}

async function readyLine(up: BackgroundProcess): Promise<string> {
  try {
    return await up.firstLine(UP_TIMEOUT_MS);
  } catch (cause) {
    await up.end('SIGTERM', DOWN_TIMEOUT_MS);
    throw new Error(`wrenn up: ${messageIn(up.lastWords)}`, { cause });
  }
}

/** The message out of the error that `wrenn --json` prints last. */
function messageIn(output: string): string {
  try {
    const last = JSON.parse(output.slice(output.lastIndexOf('\n') + 1)) as CliFailure;
    return last.error.message;
  } catch {
    return output;
  }
}

/** Deletes all sandboxes and stops what runs, which may be nothing. */
async function takeDown({ environment }: PlatformConfig): Promise<void> {
  const [node, wrenn] = WRENN;
  await run(node, [wrenn, 'down', '--yes'], { env: environment, timeoutMs: DOWN_TIMEOUT_MS });
}

async function removeFolders({ stateDirectory, runDirectory }: PlatformConfig): Promise<void> {
  await rm(stateDirectory, { recursive: true, force: true });
  await rm(runDirectory, { recursive: true, force: true });
}
