/**
 * Where a VMM's standard error goes: a pipe of which the VMM itself holds both
 * ends. It costs no disk, is bounded by the kernel (what does not fit is
 * dropped, since it does not block), and neither ends nor stalls when the agent
 * does: a later agent reads it again through /proc.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { run } from '../../../lib/process/run.js';
import { OutputTail } from './output-tail.js';

/** Bytes of messages that are kept; the last ones. */
export const MESSAGE_BYTES_MAX = 16 * 1024;

const READ_BYTES = 64 * 1024;
/** Reads at a time; a VMM that writes as fast as it is read must not hold anybody up. */
const READS_MAX = 16;
const STANDARD_ERROR = 2;

export class MessagePipe {
  readonly #file: FileHandle;
  readonly #tail = new OutputTail(MESSAGE_BYTES_MAX);
  #reading: Promise<void> | undefined;
  #closed = false;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes a pipe. Its name is gone when this resolves; only who inherits it has it. */
  static async create(path: string): Promise<MessagePipe> {
    await run('mkfifo', ['--mode=600', path]);
    try {
      return new MessagePipe(await open(path, constants.O_RDWR | constants.O_NONBLOCK));
    } finally {
      await rm(path, { force: true });
    }
  }

  /**
   * The pipe of a VMM that an earlier agent started.
   * @throws Error when the VMM has put something else in its place, which it need not have been
   *   able to read.
   */
  static async ofProcess(pid: number): Promise<MessagePipe> {
    const path = `/proc/${pid}/fd/${STANDARD_ERROR}`;
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFIFO()) return new MessagePipe(file);
    await file.close();
    throw new Error(`the messages of process ${pid} are no pipe`);
  }

  /** For a child to inherit. */
  get fd(): number {
    return this.#file.fd;
  }

  /** The last messages; also when the VMM has ended, and when the pipe is closed. */
  async read(): Promise<string> {
    // One reader at a time: of two, one would not see what the other is about to keep.
    this.#reading ??= this.#drain().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
    return this.#tail.text();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  async #drain(): Promise<void> {
    for (let reads = 0; reads < READS_MAX && !this.#closed; reads += 1) {
      const chunk = await this.#readChunk();
      if (chunk.length === 0) return;
      this.#tail.append(chunk);
    }
  }

  async #readChunk(): Promise<Buffer> {
    try {
      const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'EBADF') return Buffer.alloc(0);
      throw error;
    }
  }
}
