/**
 * The outputs of a program as one sequence. At most one chunk of each is held: a stream is read on
 * only when its chunk has been taken, so a slow caller stops the program and not the daemon's
 * memory.
 */
import type { Socket } from 'node:net';

export interface Chunk<Name extends string> {
  stream: Name;
  data: Buffer;
}

export class Output<Name extends string = 'stdout' | 'stderr'> {
  readonly #streams: Map<Name, Socket>;
  readonly #held: Chunk<Name>[] = [];
  #open: number;
  #wake: () => void = () => undefined;

  /** Takes over the streams of the daemon's ends. */
  constructor(streams: Record<Name, Socket>) {
    this.#streams = new Map(Object.entries(streams) as [Name, Socket][]);
    this.#open = this.#streams.size;
    for (const [name, stream] of this.#streams) this.#read(name, stream);
  }

  /** Whether everything has been taken and all streams are closed. */
  get ended(): boolean {
    return this.#open === 0 && this.#held.length === 0;
  }

  /** Takes the next chunk; undefined when there is none at the moment. */
  take(): Chunk<Name> | undefined {
    const chunk = this.#held.shift();
    if (chunk) this.#streams.get(chunk.stream)?.resume();
    return chunk;
  }

  /** Resolves when there may be something to take, all streams are closed, or somebody calls `wake`. */
  changed(): Promise<void> {
    if (this.#held.length > 0 || this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Wakes who waits, for a cause beside the streams. */
  wake(): void {
    this.#wake();
  }

  /**
   * Drops what comes from now on. The streams stay open and are emptied: a program that lives on
   * in the background must neither block nor get SIGPIPE.
   */
  drop(): void {
    this.#held.length = 0;
    for (const stream of this.#streams.values()) {
      stream.removeAllListeners('data');
      stream.resume();
    }
  }

  #read(name: Name, stream: Socket): void {
    stream.on('data', (data: Buffer) => {
      stream.pause();
      this.#held.push({ stream: name, data });
      this.#wake();
    });
    stream.on('error', () => undefined);
    stream.once('close', () => {
      this.#open -= 1;
      this.#wake();
    });
  }
}
