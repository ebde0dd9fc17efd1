/** A process that acts as a VMM with lazily restored memory: native/addon/test/vmm.c. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { packageRoot } from '../../lib/files/package-root.js';

const ADDON_FOLDER = join(packageRoot(), 'native', 'addon');

export type MemoryKind = 'memfd' | 'anonymous';

/** Builds something of native/addon, such as `programs`, with a sanitizer or without. */
export function makeAddon(target: string, sanitizer = ''): void {
  const args = ['--silent', '-C', ADDON_FOLDER, target, `SANITIZE=${sanitizer}`];
  execFileSync('make', args, { stdio: 'pipe', timeout: 120_000 });
}

export interface Verified {
  /** Blocks that are not what they should be, and those of them that are zero. */
  wrong: number;
  zero: number;
}

export class TestVmm implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('the VMM has no output');
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  static async start(
    kind: MemoryKind,
    blocks: number,
    options: { regions?: number; uid?: number } = {},
  ): Promise<TestVmm> {
    const { regions = 1, uid } = options;
    const child = spawn(
      join(ADDON_FOLDER, 'build', 'vmm'),
      [kind, String(blocks), String(regions)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        ...(uid !== undefined && { uid, gid: uid }),
      },
    );
    const vmm = new TestVmm(child);
    await vmm.#expect('ready');
    return vmm;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @param how the command: `handshake`, or `cut` for one in two messages. */
  async handshake(socketPath: string, how: 'handshake' | 'cut' = 'handshake'): Promise<void> {
    await this.#tell(`${how} ${socketPath}`);
  }

  /** Sends a text with some descriptors of a kind. */
  async send(
    socketPath: string,
    text: string,
    descriptors = 1,
    kind: 'uffd' | 'other' = 'uffd',
  ): Promise<void> {
    await this.#tell(`send ${socketPath} ${descriptors} ${kind} ${text}`);
  }

  /** The text of its handshake. */
  async text(): Promise<string> {
    return await this.#ask('text');
  }

  /** Compares all of its memory with a file. */
  async verify(path: string, threads = 4): Promise<Verified> {
    return verified(await this.#ask(`verify ${path} ${threads}`));
  }

  /** Begins a `verify`; `join` gives its result. */
  async startVerify(path: string, threads = 4): Promise<void> {
    await this.#tell(`start ${path} ${threads}`);
  }

  async join(): Promise<Verified> {
    return verified(await this.#ask('join'));
  }

  async remove(firstBlock: number, blocks: number): Promise<void> {
    await this.#tell(`remove ${firstBlock} ${blocks}`);
  }

  /** Begins to read a block; `probed` tells how it went. */
  async probe(block: number): Promise<void> {
    await this.#tell(`probe ${block}`);
  }

  /** Begins to read a block as soon as another one is there, without a fault for that. */
  async chase(after: number, block: number): Promise<void> {
    await this.#tell(`chase ${after} ${block}`);
  }

  /** Reads every `step`th of the blocks, one after the other. */
  async touch(firstBlock: number, blocks = 1, step = 1): Promise<void> {
    await this.#tell(`touch ${firstBlock} ${blocks} ${step}`);
  }

  /** The first byte of the block that was probed or chased. */
  async probed(): Promise<number | 'waiting'> {
    const answer = await this.#ask('probed');
    return answer === 'waiting' ? answer : Number(answer);
  }

  /** Closes its connection, and lives on. */
  async leave(): Promise<void> {
    await this.#tell('leave');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#lines.close();
  }

  async #tell(command: string): Promise<void> {
    this.#child.stdin?.write(`${command}\n`);
    await this.#expect('done');
  }

  async #ask(command: string): Promise<string> {
    this.#child.stdin?.write(`${command}\n`);
    return await this.#line();
  }

  async #expect(wanted: string): Promise<void> {
    const line = await this.#line();
    if (line !== wanted) throw new Error(`the VMM said ${line}, not ${wanted}`);
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('the VMM has ended');
    return value;
  }
}

function verified(line: string): Verified {
  const [wrong, zero] = line.split(' ').map(Number);
  return { wrong: wrong ?? Number.NaN, zero: zero ?? Number.NaN };
}
