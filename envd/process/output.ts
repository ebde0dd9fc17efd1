/**
 * The two outputs of a program as one sequence. At most one chunk of each is
 * held: a stream is read on only when its chunk has been taken, so a slow
 * caller stops the program and not the daemon's memory.
 */
import { Socket } from 'node:net';

export interface Chunk {
  stream: 'stdout' | 'stderr';
  data: Buffer;
}

export class Output {
  readonly #streams: Record<Chunk['stream'], Socket>;
  readonly #held: Chunk[] = [];
  #open = 2;
  #wake: () => void = () => undefined;

  /** Takes over two descriptors of pipes. */
  constructor(stdoutFd: number, stderrFd: number) {
    this.#streams = {
      stdout: this.#read('stdout', stdoutFd),
      stderr: this.#read('stderr', stderrFd),
    };
  }

  /** Whether everything has been taken and both pipes are closed. */
  get ended(): boolean {
    return this.#open === 0 && this.#held.length === 0;
  }

  /** Takes the next chunk; undefined when there is none at the moment. */
  take(): Chunk | undefined {
    const chunk = this.#held.shift();
    if (chunk) this.#streams[chunk.stream].resume();
    return chunk;
  }

  /** Resolves when there may be something to take, or both pipes are closed. */
  changed(): Promise<void> {
    if (this.#held.length > 0 || this.#open === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /**
   * Drops what comes from now on. The pipes stay open and are emptied: a
   * program that lives on in the background must neither block nor get SIGPIPE.
   */
  drop(): void {
    this.#held.length = 0;
    for (const stream of Object.values(this.#streams)) {
      stream.removeAllListeners('data');
      stream.resume();
    }
  }

  #read(name: Chunk['stream'], fd: number): Socket {
    const stream = new Socket({ fd, readable: true, writable: false });
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
    return stream;
  }
}
