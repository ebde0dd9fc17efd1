/** A real `wrenn up` as a child, in folders and on ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findFreePort } from '../../cli/up/addresses.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { RunError, run } from '../../lib/process/run.js';
import { temporaryDirectory } from './temporary-directory.js';

const COMMAND = join(packageRoot(), 'bin', 'wrenn');
const COMMAND_TIMEOUT_MS = 120_000;

/** What `wrenn up --json` prints when it is up. */
export interface UpReport {
  http_address: string;
  grpc_address: string;
  api_key: string;
}

export interface LocalWrenn extends AsyncDisposable {
  readonly stateDirectory: string;
  readonly runDirectory: string;
  /** Settings that every command of this platform is given. */
  readonly environment: NodeJS.ProcessEnv;
  /** Starts `wrenn up` and waits until it is up. */
  up(): Promise<{ child: ChildProcess; report: UpReport; stderr: string[] }>;
  /** Runs another command to its end. */
  run(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

/** @param settings over those for folders, addresses and driver. */
export async function localWrenn(settings: NodeJS.ProcessEnv = {}): Promise<LocalWrenn> {
  const directory = await temporaryDirectory('wrenn-up-');
  const [stateDirectory, runDirectory] = ['state', 'run'].map((name) => join(directory.path, name));
  const environment = {
    ...process.env,
    WRENN_STATE_DIR: stateDirectory,
    WRENN_RUN_DIR: runDirectory,
    WRENN_CONFIG_DIR: join(directory.path, 'config'),
    WRENN_HTTP_ADDRESS: `127.0.0.1:${await findFreePort()}`,
    WRENN_GRPC_ADDRESS: `127.0.0.1:${await findFreePort()}`,
    WRENN_VMM_DRIVER: 'fake',
    ...settings,
  };
  const children: ChildProcess[] = [];
  return {
    stateDirectory: stateDirectory as string,
    runDirectory: runDirectory as string,
    environment,
    up: async () => {
      const child = spawn(COMMAND, ['up', '--json'], { env: environment });
      children.push(child);
      return { child, ...(await waitUntilUp(child)) };
    },
    run: async (...args) => {
      try {
        const result = await run(COMMAND, args, {
          env: environment,
          timeoutMs: COMMAND_TIMEOUT_MS,
        });
        return { exitCode: 0, ...result };
      } catch (error) {
        if (!(error instanceof RunError) || error.exitCode === null) throw error;
        const { exitCode, stdout, stderr } = error;
        return { exitCode, stdout, stderr };
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of children) await end(child);
      await directory.remove();
    },
  };
}

async function waitUntilUp(child: ChildProcess): Promise<{ report: UpReport; stderr: string[] }> {
  const stderr: string[] = [];
  if (!child.stdout || !child.stderr) throw new Error('wrenn up has no output');
  createInterface({ input: child.stderr }).on('line', (line) => stderr.push(line));
  const ended = once(child, 'close').then(() => {
    throw new Error(`wrenn up ended: ${stderr.join('\n')}`);
  });
  ended.catch(() => undefined);
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    ended,
  ]);
  return { report: JSON.parse(line), stderr };
}

/** The daemons end with it, by the kernel's hand if not otherwise. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
}
