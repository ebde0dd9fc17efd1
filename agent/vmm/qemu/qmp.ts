/**
 * One connection to QEMU's control socket (QMP): a greeting, one negotiation,
 * then commands and answers as one JSON object a line, with events between
 * them. QEMU serves one client at a time; a further one waits for its greeting.
 *
 * A guest that has taken its VMM over speaks through this socket: lines and
 * waits are bounded, and whatever is not QMP ends the connection.
 */
import { connect, type Socket } from 'node:net';
import { LineReader } from './line-reader.js';

/** Time limit of the greeting, and of each command for which the caller names none. */
export const QMP_TIMEOUT_MS = 5000;
/** Longest line that is taken: a console read in base64, with room to spare. */
export const QMP_LINE_BYTES_MAX = 1024 * 1024;
/**
 * Bytes a second that are read; a VMM that sends more waits. It takes some ten times what the
 * console of a busy guest does, and even of the shortest events a small part of a processor.
 */
export const QMP_BYTES_PER_SECOND_MAX = 1024 * 1024;
/** Commands that may wait for their answers at once. */
export const QMP_COMMANDS_MAX = 64;

const READ_WINDOW_MS = 1000;
/** The greeting is awaited like the answer to a command; commands count from 1. */
const GREETING_ID = 0;

export interface QmpEvent {
  name: string;
  data: Record<string, unknown>;
}

/** QEMU's answer that it did not do a command. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly errorClass: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

export interface QmpConnectOptions {
  /** Must not throw. */
  onEvent: (event: QmpEvent) => void;
  /** Time limit of the greeting, and of each command for which the caller names none. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export interface QmpExecuteOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Has QEMU do a command, as QmpClient's `execute`. */
export type QmpExecute = (
  command: string,
  args?: Record<string, unknown>,
  options?: QmpExecuteOptions,
) => Promise<unknown>;

interface Awaited {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

type JsonObject = Record<string, unknown>;

export class QmpClient {
  readonly #socket: Socket;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #timeoutMs: number;
  readonly #awaited = new Map<number, Awaited>();
  #lastId = GREETING_ID;
  #failure: Error | undefined;
  #bytesInWindow = 0;
  #readWindow: NodeJS.Timeout | undefined;

  /** Resolves when the connection has ended, from whichever side. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, { onEvent, timeoutMs = QMP_TIMEOUT_MS }: QmpConnectOptions) {
    this.#socket = socket;
    this.#onEvent = onEvent;
    this.#timeoutMs = timeoutMs;
    const lines = new LineReader(QMP_LINE_BYTES_MAX, (line) => this.#receive(line));
    socket.on('data', (chunk: Buffer) => this.#read(lines, chunk));
    socket.on('error', (error) => this.#fail(error));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#fail(new Error('the QMP connection was closed'));
        resolve();
      });
    });
  }

  /**
   * Connects and negotiates.
   * @throws Error of the connection (ENOENT, ECONNREFUSED), when QEMU does not answer in time, or
   *   when what answers is not QMP.
   */
  static async connect(path: string, options: QmpConnectOptions): Promise<QmpClient> {
    options.signal?.throwIfAborted();
    const client = new QmpClient(connect(path), options);
    try {
      await client.#await(GREETING_ID, 'greeting', options);
      await client.execute('qmp_capabilities', {}, options);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Has QEMU do a command.
   * @throws QmpError when it refuses; Error when it does not answer in time or the connection ends.
   */
  async execute(
    command: string,
    args: JsonObject = {},
    options: QmpExecuteOptions = {},
  ): Promise<unknown> {
    if (this.#failure) throw this.#failure;
    if (this.#awaited.size >= QMP_COMMANDS_MAX) throw new Error('too many QMP commands at once');
    this.#lastId += 1;
    const answer = this.#await(this.#lastId, command, options);
    const request = { execute: command, arguments: args, id: this.#lastId };
    this.#socket.write(`${JSON.stringify(request)}\n`);
    return answer;
  }

  close(): void {
    this.#fail(new Error('the QMP connection was closed'));
  }

  #await(
    id: number,
    command: string,
    { timeoutMs = this.#timeoutMs, signal }: QmpExecuteOptions,
  ): Promise<unknown> {
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#awaited.set(id, { command, resolve, reject });
    });
    const reject = (error: Error) => this.#awaited.get(id)?.reject(error);
    const onAbort = () => reject(signal?.reason);
    const onTimeout = () => reject(new Error(`QMP ${command}: no answer within ${timeoutMs} ms`));
    const timer = setTimeout(onTimeout, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    return answer.finally(() => {
      this.#awaited.delete(id);
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  #read(lines: LineReader, chunk: Buffer): void {
    this.#throttle(chunk.length);
    try {
      lines.add(chunk);
    } catch (error) {
      this.#fail(new Error('what answers is not QMP', { cause: error }));
    }
  }

  #throttle(bytes: number): void {
    this.#bytesInWindow += bytes;
    this.#readWindow ??= setTimeout(() => this.#beginWindow(), READ_WINDOW_MS);
    if (this.#bytesInWindow > QMP_BYTES_PER_SECOND_MAX) this.#socket.pause();
  }

  #beginWindow(): void {
    this.#readWindow = undefined;
    this.#bytesInWindow = 0;
    this.#socket.resume();
  }

  /** @throws SyntaxError or TypeError for a line that is not QMP. */
  #receive(line: string): void {
    if (this.#failure || line.trim() === '') return;
    const message = asObject(JSON.parse(line));
    if ('QMP' in message) this.#awaited.get(GREETING_ID)?.resolve(undefined);
    else if (typeof message.event === 'string') {
      this.#onEvent({ name: message.event, data: asObject(message.data ?? {}) });
    } else this.#answer(message);
  }

  /** Answers that came too late have nobody who waits. */
  #answer(message: JsonObject): void {
    const awaited = typeof message.id === 'number' ? this.#awaited.get(message.id) : undefined;
    if (!awaited) return;
    if ('error' in message) {
      const { class: errorClass, desc } = asObject(message.error);
      awaited.reject(new QmpError(awaited.command, String(errorClass), String(desc)));
    } else awaited.resolve(message.return);
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    clearTimeout(this.#readWindow);
    for (const { reject } of [...this.#awaited.values()]) reject(error);
    this.#socket.destroy();
  }
}

function asObject(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('not an object');
  }
  return value as JsonObject;
}
