/** Page servers and the program that makes faults for them, on processors of their own. */

import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { run } from '../lib/process/run.js';
import { addon, type MappedMemory, type NativePageServer } from '../native/addon/binding.js';
import { anchorPath, timeAnchor } from './anchors.js';
import { BackgroundProcess } from './background-process.js';
import { BLOCK_BYTES, writeMemory } from './guest-memory.js';

/** Processor of who touches and who serves, and that of Node. */
const FAULT_CPU = 0;
const NODE_CPU = cpus().length > 1 ? 1 : 0;
const TOUCHES = 1000;
const BLOCKED_MS = 500;
const START_TIMEOUT_MS = 10_000;
/** Name of the addon's threads that serve. */
const SERVER_THREAD = 'wrenn-pages';
const NS_PER_MS = 1e6;

/** What is taken of a run of touches. */
export type FaultFigure = 'elapsed' | 'p50' | 'p99';

export interface FaultPlan {
  /** Blocks that one fault brings. */
  runBlocks: number;
  /** Every block in order, or some at random. */
  pattern: 'all' | 'random';
  figure: FaultFigure;
  /** Whether the server checks what it brings. */
  checked?: boolean;
  /** Whether Node's thread is busy all the while. */
  blocked?: boolean;
}

type Figures = Record<`${FaultFigure}_ns`, number>;

export class PageServerLab implements AsyncDisposable {
  readonly touches = TOUCHES;
  /** Of the servers of the addon that brought several blocks a fault. */
  readonly totals = { ioctls: 0, servedBlocks: 0 };
  readonly #folder: string;
  readonly #sizeBytes: number;
  readonly #file: FileHandle;
  readonly #memory: MappedMemory;
  #runs = 0;

  private constructor(folder: string, sizeBytes: number, file: FileHandle, memory: MappedMemory) {
    this.#folder = folder;
    this.#sizeBytes = sizeBytes;
    this.#file = file;
    this.#memory = memory;
  }

  static async create(
    folder: string,
    sizeBytes: number,
    signal: AbortSignal,
  ): Promise<PageServerLab> {
    const path = join(folder, 'memory');
    const blocks = sizeBytes / BLOCK_BYTES;
    await writeMemory(path, blocks);
    const checksums = checksumsOf(await readFile(path));
    await pinThread(process.pid, NODE_CPU, signal);
    const file = await open(path);
    const runs = Uint32Array.of(0, blocks, 0, 0);
    return new PageServerLab(folder, sizeBytes, file, { files: [file.fd], runs, checksums });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await run('taskset', ['-p', '-c', `0-${cpus().length - 1}`, String(process.pid)]);
  }

  /** Milliseconds to fill the memory without faults. */
  bulkCopy(runBlocks: number, signal: AbortSignal): Promise<number> {
    const args = [this.#memoryPath, this.#sizeBytes, runBlocks, FAULT_CPU];
    return timeAnchor('bulk-copy', args, { signal });
  }

  /** Milliseconds by the plain server in C. */
  async plainServer(plan: FaultPlan, signal: AbortSignal): Promise<number> {
    const socketPath = this.#newPath('socket');
    const args = [socketPath, this.#memoryPath, this.#sizeBytes, plan.runBlocks, FAULT_CPU];
    const server = new BackgroundProcess({
      command: [anchorPath('page-server'), ...args.map(String)],
      deathSignal: 'KILL',
    });
    try {
      await server.firstLine(START_TIMEOUT_MS);
      const figures = await this.#touch(socketPath, plan, signal);
      await server.waitForEnd(START_TIMEOUT_MS);
      return figure(figures, plan);
    } catch (error) {
      await server.end('SIGKILL', START_TIMEOUT_MS);
      throw error;
    }
  }

  /** Milliseconds by the page server of the addon. */
  async addonServer(plan: FaultPlan, signal: AbortSignal): Promise<number> {
    const socketPath = this.#newPath('socket');
    const server = this.#startServer(socketPath, plan);
    try {
      await pinThread(await threadId(SERVER_THREAD), FAULT_CPU, signal);
      const touched = this.#touch(socketPath, plan, signal);
      // It fails when the program does, whose own error says more.
      await Promise.race([server.handshake, touched]);
      server.serve();
      if (plan.blocked) blockNode();
      const figures = await touched;
      if (plan.blocked && figures.elapsed_ns > BLOCKED_MS * NS_PER_MS) {
        throw new Error(`the faults took longer than the ${BLOCKED_MS} ms that Node was blocked`);
      }
      this.#count(server, plan);
      return figure(figures, plan);
    } finally {
      await server.close();
    }
  }

  get #memoryPath(): string {
    return join(this.#folder, 'memory');
  }

  #startServer(socketPath: string, { runBlocks, checked = true }: FaultPlan): NativePageServer {
    return addon().startPageServer({
      socketPath,
      uid: 0,
      memory: checked ? this.#memory : { ...this.#memory, checksums: new Uint32Array() },
      sizeBytes: this.#sizeBytes,
      runBlocksMax: runBlocks,
      removedPath: this.#newPath('removed'),
      pid: 0,
      handshakeTimeoutMs: START_TIMEOUT_MS,
    });
  }

  async #touch(socketPath: string, { pattern }: FaultPlan, signal: AbortSignal): Promise<Figures> {
    const how = pattern === 'all' ? ['all'] : ['random', TOUCHES, this.#runs];
    const args = [socketPath, this.#sizeBytes, FAULT_CPU, ...how].map(String);
    const { stdout } = await run(anchorPath('vmm'), args, { signal });
    return JSON.parse(stdout) as Figures;
  }

  #count(server: NativePageServer, { runBlocks }: FaultPlan): void {
    if (runBlocks === 1) return;
    const { ioctls, servedBlocks } = server.statistics();
    this.totals.ioctls += ioctls;
    this.totals.servedBlocks += servedBlocks;
  }

  #newPath(name: string): string {
    this.#runs += 1;
    return join(this.#folder, `${name}.${this.#runs}`);
  }
}

function figure(figures: Figures, plan: FaultPlan): number {
  return figures[`${plan.figure}_ns`] / NS_PER_MS;
}

function checksumsOf(content: Buffer): Uint32Array {
  return Uint32Array.from({ length: content.length / BLOCK_BYTES }, (_, block) =>
    addon().crc32c(content.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)),
  );
}

/** Lets nothing else happen in this thread for a while. */
function blockNode(): void {
  const endsAt = performance.now() + BLOCKED_MS;
  while (performance.now() < endsAt);
}

async function pinThread(id: number, cpu: number, signal: AbortSignal): Promise<void> {
  await run('taskset', ['-p', '-c', String(cpu), String(id)], { signal });
}

/** The one thread of this process that has the name. */
async function threadId(name: string): Promise<number> {
  const ids = [];
  for (const id of await readdir('/proc/self/task')) {
    const comm = await readFile(`/proc/self/task/${id}/comm`, 'utf8').catch(() => '');
    if (comm.trim() === name) ids.push(Number(id));
  }
  if (ids.length !== 1 || ids[0] === undefined)
    throw new Error(`${ids.length} threads are ${name}`);
  return ids[0];
}
