/** The daemon's end of what a program reads. */
import type { Socket } from 'node:net';

export class InputStream {
  readonly #socket: Socket;

  /** Takes over a stream that can be written. */
  constructor(socket: Socket) {
    this.#socket = socket;
    // A write that fails tells it by itself.
    socket.on('error', () => undefined);
  }

  /** Settles when the kernel has it; rejects when nobody can read it any more. */
  write(input: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(input, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Lets the program read end of file after what was written. */
  end(): void {
    this.#socket.end();
  }

  /** Lets go of it, with what nobody has read. */
  destroy(): void {
    this.#socket.destroy();
  }
}
