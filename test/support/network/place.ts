/** A process of the test inside a network namespace, or on the host. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProbeAnswer, ProbeCommand } from './probe.js';

const PROBE = fileURLToPath(new URL('./probe.ts', import.meta.url));

interface Waiting {
  resolve(answer: ProbeAnswer): void;
  reject(error: Error): void;
}

export class Place {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('the probe has no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: ProbeAnswer };
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the probe has ended'));
      this.#waiting.clear();
    });
  }

  /** @param namespace left out: the host's. */
  static enter(namespace?: string): Place {
    const node = [process.execPath, '--import', 'tsx', PROBE];
    const [program = '', ...args] = namespace
      ? ['nsenter', `--net=/run/netns/${namespace}`, '--', ...node]
      : node;
    return new Place(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  tcp(address: string, port: number, text?: string): Promise<ProbeAnswer> {
    return this.#ask({ kind: 'tcp', address, port, ...(text ? { text } : {}) });
  }

  udp(address: string, port: number, message: Buffer | string): Promise<ProbeAnswer> {
    const base64 = Buffer.from(message).toString('base64');
    return this.#ask({ kind: 'udp', address, port, base64 });
  }

  /** Opens a TCP connection and a UDP flow to an echo, and keeps both. */
  async hold(address: string, port: number): Promise<void> {
    await this.#ask({ kind: 'hold', address, port });
  }

  /** Sends a datagram and waits for nothing. */
  async say(address: string, port: number, message: Buffer): Promise<void> {
    await this.#ask({ kind: 'say', address, port, base64: message.toString('base64') });
  }

  /** Lets the listeners send a text to everybody who ever spoke to them. */
  async speak(text: string): Promise<void> {
    await this.#ask({ kind: 'speak', text });
  }

  /** Echoes on a TCP and a UDP port of all addresses. */
  async listen(port: number): Promise<void> {
    await this.#ask({ kind: 'listen', port });
  }

  /** What the listeners have got, as `protocol source:port text`. */
  async received(): Promise<string[]> {
    const answer = await this.#ask({ kind: 'received' });
    return answer.outcome === 'received' ? answer.messages : [];
  }

  async leave(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(command: ProbeCommand): Promise<ProbeAnswer> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, command })}\n`);
    });
  }
}
