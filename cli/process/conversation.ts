/**
 * A conversation with a program that goes on, from the next byte, when its
 * connection breaks: a restart of the agent or the control plane does not end it.
 */
import { status } from '@grpc/grpc-js';
import {
  type ProcessEvent,
  type ProcessOptions,
  type ProcessStream,
  WrennApiError,
  type WrennClient,
} from '../../clients/typescript/index.js';
import { delay } from '../../lib/lifecycle/delay.js';
import { CliError } from '../failure.js';
import { Gate } from './gate.js';

/** How long a broken connection is tried anew: what an agent needs to start, and more. */
const RECONNECT_TIME_MAX_MS = 60_000;
const RECONNECT_PAUSE_MIN_MS = 200;
const RECONNECT_PAUSE_MAX_MS = 3_000;

/** The program to start, or to go on with. */
export type Target = { start: ProcessOptions } | { processId: string; offset: number | undefined };

export class Conversation {
  readonly #client: WrennClient;
  readonly #sandboxId: string;
  #stream: ProcessStream;
  readonly #connected = new Gate();
  #processId: string | undefined;
  #nextOffset: number | undefined;
  #hasSentData = false;
  #hasClosedInput = false;
  /** When the connection broke; undefined while the program is heard. */
  #brokenAtMs: number | undefined;
  readonly #left = new AbortController();

  constructor(client: WrennClient, sandboxId: string, target: Target) {
    this.#client = client;
    this.#sandboxId = sandboxId;
    if ('start' in target) {
      this.#nextOffset = 0;
      this.#stream = client.processes.run(sandboxId, target.start);
    } else {
      this.#processId = target.processId;
      this.#nextOffset = target.offset;
      this.#stream = this.#attach(target.processId);
    }
  }

  /** Aborted by `detach`. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** The command that goes on with this program; undefined when none is known to run. */
  get attachCommand(): string | undefined {
    if (this.#processId === undefined) return undefined;
    const from = this.#nextOffset === undefined ? '' : ` --offset ${this.#nextOffset}`;
    return `wrenn attach ${this.#sandboxId} ${this.#processId}${from}`;
  }

  /** Called for each connection but the first, when the program can be talked to again. */
  onReconnected: () => void = () => undefined;

  /**
   * What the program does, until it has ended or `detach` is called.
   * @throws WrennApiError, and CliError when input may have been lost with a connection.
   */
  async *events(): AsyncGenerator<NonNullable<ProcessEvent['event']>, void, void> {
    for (;;) {
      try {
        for await (const { event } of this.#stream) {
          if (!event) continue;
          this.#note(event);
          yield event;
          if (event.$case === 'exited') return;
        }
        throw new CliError('the server ended the stream, and the program had not ended');
      } catch (error) {
        if (this.left.aborted) return;
        await this.#reconnect(error);
      }
      if (this.left.aborted) return;
    }
  }

  /**
   * Sends once the program can be talked to.
   * @param isData whether it is input that must arrive once and whole: a
   *   connection that breaks after it cannot be gone on with.
   */
  async send(act: (stream: ProcessStream) => Promise<void>, isData = false): Promise<void> {
    await this.#connected.passed();
    this.#hasSentData ||= isData;
    if (!this.left.aborted) await act(this.#stream);
  }

  /** Lets the program read end of file. */
  async closeStdin(): Promise<void> {
    await this.send((stream) => {
      this.#hasClosedInput = true;
      return stream.closeStdin();
    });
  }

  /** Ends the conversation; the program lives on. */
  detach(): void {
    this.#left.abort();
    this.#connected.open();
    this.#stream.close();
  }

  #attach(processId: string): ProcessStream {
    const offset = this.#nextOffset;
    return this.#client.processes.connect(this.#sandboxId, processId, { offset });
  }

  #note(event: NonNullable<ProcessEvent['event']>): void {
    this.#brokenAtMs = undefined;
    if (event.$case === 'started') {
      const isFirst = !this.#connected.wasOpen;
      this.#processId = event.value.processId;
      this.#connected.open();
      if (!isFirst) this.#repeat();
    } else if (event.$case !== 'exited') {
      this.#nextOffset = event.value.offset + event.value.data.length;
    }
  }

  /** What may be said twice. */
  #repeat(): void {
    if (this.#hasClosedInput) void this.#stream.closeStdin();
    this.onReconnected();
  }

  async #reconnect(error: unknown): Promise<void> {
    const processId = this.#processId;
    // Nobody knows whether a program that has not said so has been started.
    if (!isBreak(error) || processId === undefined || !this.#connected.wasOpen) throw error;
    if (this.#hasSentData) {
      throw new CliError(
        'the connection broke; how much of the input the program has got is not known',
        `it goes on: ${this.attachCommand}`,
      );
    }
    this.#connected.shut();
    const nowMs = performance.now();
    this.#brokenAtMs ??= nowMs;
    const brokenForMs = nowMs - this.#brokenAtMs;
    if (brokenForMs > RECONNECT_TIME_MAX_MS) throw error;
    // As long again as it has been broken, so that the tries get rarer.
    const pauseMs = Math.min(Math.max(brokenForMs, RECONNECT_PAUSE_MIN_MS), RECONNECT_PAUSE_MAX_MS);
    await delay(pauseMs, this.left).catch(() => undefined);
    this.#stream = this.#attach(processId);
  }
}

/** Whether a connection broke, here or behind the control plane; not what a server decided. */
function isBreak(error: unknown): boolean {
  if (!(error instanceof WrennApiError)) return false;
  if (error.code === status.UNAVAILABLE) return true;
  // A server that ends resets its streams, which comes without a reason.
  return error.reason === '' && [status.CANCELLED, status.INTERNAL].includes(error.code);
}
