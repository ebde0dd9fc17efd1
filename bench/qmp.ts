/** QEMU's control socket as one would use it by hand: a command, its answer, no checks. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { retry } from '../lib/lifecycle/delay.js';

/** A VMM is asked this often whether its socket is there. */
const CONNECT = { timeoutMs: 30_000, pauseMs: 1, pauseMsMax: 1 };

interface Answer {
  QMP?: unknown;
  event?: string;
  error?: { desc: string };
  return?: unknown;
}

export class Qmp implements Disposable {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if (answer.event === undefined) this.#waiting.shift()?.(answer);
    });
    // Who waits for an answer learns of it from the end of the VMM.
    socket.on('error', () => undefined);
  }

  /** Waits for the socket of a VMM that starts. */
  static async open(path: string, signal: AbortSignal): Promise<Qmp> {
    const socket = await retry(() => connectTo(path), { ...CONNECT, signal });
    const qmp = new Qmp(socket);
    await qmp.#answer();
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const answer = this.#answer();
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const { error, return: result } = await answer;
    if (error) throw new Error(`${command}: ${error.desc}`);
    return result;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}

async function connectTo(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}
