/**
 * The real guest daemon as a process of this machine: bundled as for a guest,
 * with a run directory of its own and on a free port of the loopback.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { build } from 'esbuild';
import { FilesystemServiceService } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import {
  ProcessServiceService,
  StartRequest,
  type StartResponse,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import { createClient } from '../../lib/rpc/client.js';
import { eventually } from './eventually.js';
import { temporaryDirectory } from './temporary-directory.js';

export const TOKEN = 'token-of-a-test-0123456789';
const CALL_TIMEOUT_MS = 20_000;
/** Stands in for busybox where the machine has none: what a guest's has, coreutils have too. */
const BUSYBOX_SUBSTITUTE = '#!/bin/sh\nexec "$@"\n';
/** Stands in for wrenn-guest, which would set the clock of this machine. */
const HELPER_SUBSTITUTE = [
  'while read -r kind wall monotonic entropy; do',
  '  echo "$kind $wall $monotonic $entropy" >> "$0.calls"',
  '  echo wall_clock 0',
  '  if [ "$kind" = restore ]; then echo add_entropy 0; echo reseed 0; fi',
  '  echo',
  'done',
].join('\n');

let bundle: Promise<string> | undefined;

export interface EnvdProcess extends AsyncDisposable {
  /**
   * Folder that is gone with the daemon. In it are `run`, the daemon's own; `hostname`,
   * `machine-id` and `dbus-machine-id` in place of the guest's; and `helper.calls`, the requests
   * that the helper has got.
   */
  directory: string;
  target: string;
  pid: number;
  guest: ReturnType<typeof guestClient>;
  processes: ReturnType<typeof processesClient>;
  /** Ends the daemon by SIGKILL; its folder stays. */
  kill(): Promise<void>;
  /** Ends the daemon by SIGKILL and starts it again with the same folder and port. */
  restart(): Promise<void>;
  /** Runs a program and collects all of it. */
  run(request: Partial<StartRequest>): Promise<Collected>;
  /** The events of a program, as they come. */
  start(request: Partial<StartRequest>, signal?: AbortSignal): AsyncIterable<StartResponse>;
  files: ReturnType<typeof filesClient>;
  options: CallOptions;
  stop(): Promise<void>;
}

export interface CallOptions {
  timeoutMs: number;
  metadata: Record<string, string>;
}

export interface Collected {
  pid: number;
  stdout: string;
  stderr: string;
  exitCode: number;
  signal: string;
  timedOut: boolean;
  kinds: string[];
}

/** The real busybox of this machine; undefined when it has none. */
export function findBusybox(): string | undefined {
  try {
    return execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Built with everything else. */
export const REAL_HELPER = join(packageRoot(), 'native/guest/build/wrenn-guest');

export interface EnvdOptions {
  /** Whether it has had its PostInit. */
  initialize?: boolean;
  /** Contents of the account files that it sees; those of this machine when left out. */
  accounts?: { passwd: string; group: string };
  /** File that takes the hostname; one in its folder when left out. */
  hostnamePath?: string;
  /** Program that stands in for busybox. */
  busyboxPath?: string;
  /**
   * Program in place of wrenn-guest. When left out, one that notes requests of the clock and does
   * nothing, and hands commands to the real one: pipes, watches and terminals change no clock.
   */
  helperPath?: string;
}

/** Starts the daemon. Needs root. */
export async function startEnvd(options: EnvdOptions = {}): Promise<EnvdProcess> {
  const directory = await temporaryDirectory('wrenn-envd-');
  // Users other than root run programs in here.
  await chmod(directory.path, 0o755);
  const path = directory.path;
  const command = await commandFor(path, options);
  let child = await spawnEnvd([...command, '--port=0']);
  let clients = connect(child.target);

  const envd: EnvdProcess = {
    directory: path,
    ...clients,
    target: child.target,
    pid: child.pid,
    options: { timeoutMs: CALL_TIMEOUT_MS, metadata: { [ENVD_TOKEN_KEY]: TOKEN } },
    kill: () => child.kill(),
    async restart() {
      clients.close();
      await child.kill();
      child = await spawnEnvd([...command, `--port=${envd.target.split(':')[1]}`]);
      clients = connect(child.target);
      Object.assign(envd, clients, { target: child.target, pid: child.pid });
    },
    run: (request) => collect(envd.start(request)),
    start: (request, signal) =>
      clients.processes.start(StartRequest.fromPartial(request), { ...envd.options, signal }),
    async stop() {
      clients.close();
      await child.kill();
      // What the daemon was making pipes with may have outlived it by a moment.
      await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
    [Symbol.asyncDispose]: () => envd.stop(),
  };
  if (options.initialize !== false) await initializeEnvd(envd);
  return envd;
}

/** The first PostInit. */
export async function initializeEnvd(
  envd: EnvdProcess,
  env: Record<string, string> = {},
): Promise<void> {
  const identity = { sandboxId: 'sandboxoftest', templateId: 'minimal' };
  await envd.guest.postInit({ token: TOKEN, ...identity, env, wallClockNs: 0n }, envd.options);
}

/** Collects a program's events to the end. */
export async function collect(events: AsyncIterable<StartResponse>): Promise<Collected> {
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const kinds: string[] = [];
  const result = { pid: 0, exitCode: -1, signal: '', timedOut: false };
  for await (const { event } of events) {
    if (!event) continue;
    kinds.push(event.$case);
    if (event.$case === 'stdout' || event.$case === 'stderr') {
      output[event.$case].push(event.value);
    } else {
      Object.assign(result, event.value);
    }
  }
  const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
  return { ...result, kinds, stdout: text(output.stdout), stderr: text(output.stderr) };
}

/** Memory in bytes that a process has resident. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Whether a process is there and no zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    return !/^State:\s+[ZX]/m.test(await readFile(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function commandFor(
  directory: string,
  { accounts, hostnamePath, busyboxPath, helperPath }: EnvdOptions,
): Promise<string[]> {
  await mkdir(join(directory, 'run'));
  await writeFile(join(directory, 'hostname'), '');
  const substitute = join(directory, 'busybox');
  await writeFile(substitute, BUSYBOX_SUBSTITUTE, { mode: 0o755 });
  const helper = join(directory, 'helper');
  const commands = `[ $# -gt 0 ] && exec '${REAL_HELPER}' "$@"`;
  const script = ['#!/bin/sh', commands, HELPER_SUBSTITUTE].join('\n');
  await writeFile(helper, script, { mode: 0o755 });
  bundle ??= bundleEnvd();
  const command = [
    process.execPath,
    await bundle,
    '--host=127.0.0.1',
    `--run-directory=${join(directory, 'run')}`,
    `--busybox=${busyboxPath ?? findBusybox() ?? substitute}`,
    `--helper=${helperPath ?? helper}`,
    `--hostname-path=${hostnamePath ?? join(directory, 'hostname')}`,
    `--machine-id-path=${join(directory, 'machine-id')}`,
    `--dbus-machine-id-path=${join(directory, 'dbus-machine-id')}`,
  ];
  return accounts ? withAccounts(directory, accounts, command) : command;
}

/** Runs a command in a mount namespace of its own, in which /etc has other account files. */
async function withAccounts(
  directory: string,
  accounts: { passwd: string; group: string },
  command: string[],
): Promise<string[]> {
  const mounts = Object.entries(accounts).map(
    ([name]) => `mount --bind ${join(directory, name)} /etc/${name}`,
  );
  for (const [name, content] of Object.entries(accounts)) {
    await writeFile(join(directory, name), content);
  }
  const script = [...mounts, 'exec "$0" "$@"'].join(' && ');
  return ['unshare', '--mount', 'sh', '-c', script, ...command];
}

async function bundleEnvd(): Promise<string> {
  const directory = await temporaryDirectory('wrenn-envd-bundle-');
  const outfile = join(directory.path, 'envd.js');
  process.once('exit', () => execFileSync('rm', ['-rf', directory.path]));
  await build({
    entryPoints: [join(packageRoot(), 'envd', 'main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    outfile,
    logLevel: 'error',
  });
  return outfile;
}

interface SpawnedEnvd {
  target: string;
  pid: number;
  kill(): Promise<void>;
}

async function spawnEnvd([file = '', ...args]: string[]): Promise<SpawnedEnvd> {
  // As little environment as the init of a guest gives, so that nothing of this one is relied on.
  const env = { PATH: process.env.PATH };
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    target: await readTarget(child),
    pid: child.pid ?? 0,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function readTarget(child: ChildProcess): Promise<string> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return eventually(() => {
    const target = /listening on (\S+)/.exec(output)?.[1];
    if (!target) throw new Error(`envd does not listen: ${output}`);
    return target;
  });
}

function connect(target: string) {
  const guest = guestClient(target);
  const files = filesClient(target);
  const processes = processesClient(target);
  const close = () => {
    for (const client of [guest, files, processes]) client.close();
  };
  return { guest, files, processes, close };
}

function guestClient(target: string) {
  return createClient(GuestServiceService, target, credentials.createInsecure());
}

function filesClient(target: string) {
  return createClient(FilesystemServiceService, target, credentials.createInsecure());
}

function processesClient(target: string) {
  return createClient(ProcessServiceService, target, credentials.createInsecure());
}
