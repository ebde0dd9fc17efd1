/**
 * A program that lives as long as the daemon and answers requests, one line each; an answer ends
 * with an empty line. It is started ahead of use, and again when it is gone: a user of the guest
 * may kill what they like.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

const ANSWER_TIMEOUT_MS = 5_000;
const ANSWER_LENGTH_MAX = 4_096;
const ANSWER_END = '\n\n';

type Child = ChildProcessByStdio<Writable, Readable, null>;

export class Coprocess {
  readonly #path: string;
  readonly #answerTimeoutMs: number;
  #child: Child | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Starts nothing yet. */
  constructor(path: string, answerTimeoutMs = ANSWER_TIMEOUT_MS) {
    this.#path = path;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** Starts it ahead of use. A failure shows at the next request. */
  start(): void {
    this.#running();
  }

  /**
   * Sends a request, after those that are under way. One that gets no answer is repeated once, to
   * a new process; so what is asked for must be harmless when done twice.
   * @throws Error when there is no answer either time.
   */
  ask(request: string): Promise<string> {
    const answer = this.#last.then(() =>
      this.#askOnce(request).catch(() => this.#askOnce(request)),
    );
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #askOnce(request: string): Promise<string> {
    const child = this.#running();
    try {
      return await exchange(child, request, this.#answerTimeoutMs);
    } catch (error) {
      this.#forget(child);
      child.kill('SIGKILL');
      // Whoever has inherited its pipes must not keep them open.
      child.stdin.destroy();
      child.stdout.destroy();
      throw error;
    }
  }

  #running(): Child {
    if (this.#child) return this.#child;
    const child = spawn(this.#path, [], { cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'] });
    child.on('error', () => this.#forget(child));
    child.on('exit', () => this.#forget(child));
    // Whoever waits for an answer hears of it by the end of the output.
    child.stdin.on('error', () => undefined);
    this.#child = child;
    return child;
  }

  #forget(child: Child): void {
    if (this.#child === child) this.#child = undefined;
  }
}

function exchange({ stdin, stdout }: Child, request: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const settle = (action: () => void) => {
      clearTimeout(timer);
      stdout.off('data', add);
      stdout.off('close', onClose);
      action();
    };
    const add = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.endsWith(ANSWER_END)) settle(() => resolve(text));
      else if (text.length > ANSWER_LENGTH_MAX) settle(() => reject(new Error('endless answer')));
    };
    const onClose = () => settle(() => reject(new Error('it ended without an answer')));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no answer within ${timeoutMs} ms`))),
      timeoutMs,
    );
    stdout.on('data', add);
    stdout.once('close', onClose);
    if (stdout.destroyed) onClose();
    else stdin.write(`${request}\n`);
  });
}
