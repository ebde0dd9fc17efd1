/** A conversation with a program, as a test holds it: requests are sent when it likes, events wait for it. */
import type {
  ExecStreamRequest,
  ProcessSpec,
  TerminalSize,
} from '../../gen/ts/wrenn/v1/process.js';

export type Message = NonNullable<ExecStreamRequest['message']>;

/** Requests that can be pushed, and ended. */
export class Requests implements AsyncIterable<ExecStreamRequest> {
  readonly #queue: ExecStreamRequest[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  /** @param sandboxId for the first message only. */
  push(message: Message, sandboxId = ''): this {
    this.#queue.push({ sandboxId, message });
    this.#wake();
    return this;
  }

  start(sandboxId: string, spec: ProcessSpec): this {
    return this.push({ $case: 'start', value: spec }, sandboxId);
  }

  stdin(text: string | Buffer): this {
    return this.push({ $case: 'stdin', value: Buffer.from(text) });
  }

  closeStdin(): this {
    return this.push({ $case: 'closeStdin', value: {} });
  }

  end(): this {
    this.#isEnded = true;
    this.#wake();
    return this;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ExecStreamRequest> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) {
        yield next;
      } else if (this.#isEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** A program with usual values. */
export function spec(cmd: string, ...args: string[]): ProcessSpec {
  return {
    ...{ cmd, args, env: {}, cwd: '', user: '', timeoutSec: 0 },
    ...{ pty: undefined, closeStdin: false },
  };
}

export function onTerminal(program: ProcessSpec, pty: TerminalSize): ProcessSpec {
  return { ...program, pty };
}
