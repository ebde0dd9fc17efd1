/**
 * A daemon's log on disk, bounded: when the file is full it becomes `<name>.1`,
 * that one `<name>.2`, and the oldest is deleted.
 */
import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

export interface LogFileLimits {
  bytesMax: number;
  /** Full files that are kept beside the current one. */
  olderMax: number;
}

export const LOG_FILE_LIMITS: LogFileLimits = { bytesMax: 10 * 1024 * 1024, olderMax: 3 };

export class LogFile {
  readonly path: string;
  readonly #limits: LogFileLimits;
  #descriptor: number;
  #size: number;

  constructor(path: string, limits = LOG_FILE_LIMITS) {
    this.path = path;
    this.#limits = limits;
    this.#descriptor = openSync(path, 'a', 0o640);
    this.#size = fstatSync(this.#descriptor).size;
  }

  /** Appends a line. A full disk costs the line, not the process. */
  append(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#limits.bytesMax) this.#rotate();
      this.#size += writeSync(this.#descriptor, bytes);
    } catch {
      // A full or broken disk costs lines of the log, not the daemons.
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): void {
    const { olderMax } = this.#limits;
    rmSync(`${this.path}.${olderMax}`, { force: true });
    for (let older = olderMax - 1; older >= 1; older -= 1) {
      const path = `${this.path}.${older}`;
      if (existsSync(path)) renameSync(path, `${this.path}.${older + 1}`);
    }
    if (olderMax > 0) renameSync(this.path, `${this.path}.1`);
    else rmSync(this.path);
    // The old file stays open until there is a new one, whatever fails before.
    const next = openSync(this.path, 'a', 0o640);
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#size = 0;
  }
}
