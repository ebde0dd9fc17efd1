/**
 * Control groups: `wrenn-<instance id>/<sandbox id>` below the root of cgroup
 * v2, or below each controller's root of v1. The cgroup limits what a VMM
 * takes from the host, and it is the surest list of a VMM's processes.
 */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { delay } from '../../../lib/lifecycle/delay.js';
import { type CgroupLimits, CONTROLLERS, settingsV1, settingsV2 } from './cgroup-settings.js';
import { sendKill } from './process-table.js';

export const CGROUP_ROOT = '/sys/fs/cgroup';
/** How long the processes of a cgroup may take to end once they are killed. */
export const CGROUP_END_TIMEOUT_MS = 15_000;

const END_PAUSE_MS = 10;
const END_PAUSE_MS_MAX = 200;
/** Another sandbox's end may remove the instance's folder between its creation and its use. */
const CREATE_ATTEMPTS_MAX = 5;

/** How this host has its cgroups. */
export interface CgroupHost {
  version: 1 | 2;
  root: string;
  /** Controllers that are needed and not there. */
  missing: string[];
}

export async function inspectCgroups(root = CGROUP_ROOT): Promise<CgroupHost> {
  const unified = await readFile(join(root, 'cgroup.controllers'), 'utf8').catch(() => undefined);
  if (unified !== undefined) {
    const present = unified.trim().split(' ');
    return { version: 2, root, missing: CONTROLLERS.filter((name) => !present.includes(name)) };
  }
  const missing = [];
  for (const name of CONTROLLERS) {
    if (!(await exists(join(root, name, 'cgroup.procs')))) missing.push(name);
  }
  return { version: 1, root, missing };
}

/** The cgroups of one instance. */
export class InstanceCgroups {
  readonly #host: CgroupHost;
  readonly #folder: string;

  constructor(host: CgroupHost, instanceId: string) {
    this.#host = host;
    this.#folder = `wrenn-${instanceId}`;
  }

  /** The folders of a sandbox's cgroup: one with v2, one for each controller with v1. */
  pathsOf(sandboxId: string): string[] {
    return this.#instanceFolders().map((folder) => join(folder, sandboxId));
  }

  /**
   * Makes a sandbox's cgroup with its limits. When it fails, nothing is left behind.
   * @throws WrennError HOST_REQUIREMENT when the host lacks a controller.
   * @throws Error EEXIST when the sandbox has a cgroup already, which then stays.
   */
  async create(sandboxId: string, limits: CgroupLimits): Promise<void> {
    if (this.#host.missing.length > 0) throw controllersMissing(this.#host);
    const made: string[] = [];
    try {
      for (const path of this.pathsOf(sandboxId)) {
        await this.#makeFolder(path);
        made.push(path);
      }
      await this.#writeSettings(sandboxId, limits);
    } catch (error) {
      await this.end(made);
      throw error;
    }
  }

  /** Ids of all sandboxes that have a cgroup, whole or in part. */
  async list(): Promise<string[]> {
    const ids = new Set<string>();
    for (const folder of this.#instanceFolders()) {
      for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
        if (entry.isDirectory()) ids.add(entry.name);
      }
    }
    return [...ids];
  }

  /**
   * Kills every process in these cgroups and removes them, and the instance's
   * folder with the last one. Idempotent. Paths of anybody else are left alone.
   * @returns pids that were killed.
   * @throws Error when a process does not end in time.
   */
  async end(paths: readonly string[]): Promise<number[]> {
    const own = paths.filter((path) => this.#owns(path));
    const killed = await killAndRemove(own);
    for (const folder of this.#instanceFolders()) await rmdir(folder).catch(() => undefined);
    return killed;
  }

  async #writeSettings(sandboxId: string, limits: CgroupLimits): Promise<void> {
    const settings = this.#host.version === 2 ? settingsV2(limits) : settingsV1(limits);
    for (const { controller, file, value, optional } of settings) {
      const path = join(this.#folderOf(controller), sandboxId, file);
      if (optional && !(await exists(path))) continue;
      await writeFile(path, value);
    }
  }

  #owns(path: string): boolean {
    return this.#instanceFolders().includes(dirname(path)) && /^[a-z0-9]+$/.test(basename(path));
  }

  #instanceFolders(): string[] {
    if (this.#host.version === 2) return [join(this.#host.root, this.#folder)];
    return CONTROLLERS.map((controller) => this.#folderOf(controller));
  }

  #folderOf(controller: string): string {
    const { version, root } = this.#host;
    return version === 2 ? join(root, this.#folder) : join(root, controller, this.#folder);
  }

  async #makeFolder(path: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await mkdir(dirname(path), { recursive: true });
        if (this.#host.version === 2) await this.#delegateControllers();
        await mkdir(path);
        return;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT' || attempt === CREATE_ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** With v2 a cgroup has the controllers that its parent hands down. */
  async #delegateControllers(): Promise<void> {
    const handDown = CONTROLLERS.map((name) => `+${name}`).join(' ');
    for (const folder of [this.#host.root, join(this.#host.root, this.#folder)]) {
      await writeFile(join(folder, 'cgroup.subtree_control'), handDown);
    }
  }
}

/** Pids in these cgroups; a cgroup that is gone has none. */
export async function processesIn(paths: readonly string[]): Promise<number[]> {
  const pids = new Set<number>();
  for (const path of paths) {
    const text = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(ignoreGone);
    for (const line of text?.split('\n') ?? []) if (line) pids.add(Number(line));
  }
  return [...pids];
}

async function killAndRemove(paths: readonly string[]): Promise<number[]> {
  const killed = new Set<number>();
  const endsAt = performance.now() + CGROUP_END_TIMEOUT_MS;
  for (let pauseMs = END_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, END_PAUSE_MS_MAX)) {
    for (const pid of await processesIn(paths)) {
      sendKill(pid);
      killed.add(pid);
    }
    const left = await removeAll(paths);
    if (left.length === 0) return [...killed];
    if (performance.now() > endsAt) {
      const pids = (await processesIn(left)).join(', ');
      throw new Error(`cgroup ${left.join(', ')} is still in use by processes ${pids}`);
    }
    await delay(pauseMs);
  }
}

/** @returns the cgroups that still have processes. */
async function removeAll(paths: readonly string[]): Promise<string[]> {
  const left = [];
  for (const path of paths) {
    try {
      await rmdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EBUSY') left.push(path);
      else if (code !== 'ENOENT') throw error;
    }
  }
  return left;
}

function controllersMissing(host: CgroupHost): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `the host's cgroup v${host.version} lacks the controllers ${host.missing.join(', ')}`,
  );
}

function ignoreGone(error: NodeJS.ErrnoException): undefined {
  // ENODEV: the cgroup was removed between open and read.
  if (error.code !== 'ENOENT' && error.code !== 'ENODEV') throw error;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
