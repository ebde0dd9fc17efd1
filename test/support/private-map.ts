/** A process that maps a file privately, as a VMM maps the memory it is restored from. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { packageRoot } from '../../lib/files/package-root.js';
import type { MemorySource } from '../../native/addon/binding.js';

const COMPILE_TIMEOUT_MS = 60_000;

/** Compiles the program into a folder. @returns its path. */
export function compilePrivateMap(folder: string): string {
  const program = join(folder, 'private-map');
  const source = join(packageRoot(), 'native', 'addon', 'test', 'private-map.c');
  execFileSync('cc', ['-O1', '-o', program, source], { timeout: COMPILE_TIMEOUT_MS });
  return program;
}

export class PrivateMap implements AsyncDisposable {
  readonly pid: number;
  readonly address: bigint;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  private constructor(
    child: ChildProcessWithoutNullStreams,
    answers: AsyncIterator<string>,
    address: bigint,
  ) {
    this.pid = child.pid ?? -1;
    this.#child = child;
    this.#answers = answers;
    this.address = address;
  }

  static async open(program: string, path: string, mode = 'private'): Promise<PrivateMap> {
    const child = spawn(program, [path, mode]);
    const lines: Interface = createInterface(child.stdout);
    const answers = lines[Symbol.asyncIterator]();
    const { value } = await answers.next();
    return new PrivateMap(child, answers, BigInt(value));
  }

  get source(): MemorySource {
    return { kind: 'private', pid: this.pid, address: this.address };
  }

  async fill(block: number, byte: number): Promise<void> {
    await this.#ask(`fill ${block} ${byte}`);
  }

  async read(block: number): Promise<void> {
    await this.#ask(`read ${block}`);
  }

  async discard(block: number): Promise<void> {
    await this.#ask(`discard ${block}`);
  }

  /** Ends the process, if it has not ended; it is gone when this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #ask(line: string): Promise<void> {
    this.#child.stdin.write(`${line}\n`);
    const { value } = await this.#answers.next();
    if (value !== 'done') throw new Error(`the map answered ${String(value)}`);
  }
}
