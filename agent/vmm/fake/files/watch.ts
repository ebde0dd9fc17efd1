/** The events of one watched directory of a fake guest, until they are taken. */
import { dirname } from 'node:path';
import { type FileEvent, FileEventType } from '../../../../gen/ts/wrenn/envd/v1/filesystem.js';

/** Events that wait to be taken; the queue is given up beyond them. */
const EVENTS_MAX = 1024;

export interface FileChange {
  type: FileEventType;
  path: string;
  /** Path before a rename; empty otherwise. */
  oldPath: string;
  isDirectory: boolean;
}

export class FileWatch {
  readonly #path: string;
  readonly #recursive: boolean;
  readonly #leave: () => void;
  #events: FileEvent[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  /** @param leave is called once nobody wants the events any more. */
  constructor(path: string, recursive: boolean, leave: () => void) {
    this.#path = path;
    this.#recursive = recursive;
    this.#leave = leave;
  }

  /** Takes notice of a change, if it is of this directory. */
  tell(change: FileChange): void {
    if (this.#ended) return;
    const event = this.#seen(change);
    if (event) this.#add(event);
    if (this.#isGone(change)) this.#end();
  }

  /** Yields READY and then what happens, until the directory is gone or the signal aborts. */
  async *events(signal: AbortSignal): AsyncGenerator<FileEvent, void, void> {
    const abort = () => this.#wake();
    signal.addEventListener('abort', abort, { once: true });
    try {
      yield eventOf(FileEventType.FILE_EVENT_TYPE_READY, this.#path);
      for (;;) {
        signal.throwIfAborted();
        const event = this.#events.shift();
        if (event) yield event;
        else if (this.#ended) return;
        else await this.#changed();
      }
    } finally {
      signal.removeEventListener('abort', abort);
      this.#leave();
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What a change is to those who see this directory alone. */
  #seen(change: FileChange): FileEvent | undefined {
    const { type, path, oldPath, isDirectory } = change;
    const now = this.#covers(path);
    if (type !== FileEventType.FILE_EVENT_TYPE_RENAME) return now ? { ...change } : undefined;
    const before = this.#covers(oldPath);
    if (now && before) return { ...change };
    if (now) return eventOf(FileEventType.FILE_EVENT_TYPE_CREATE, path, isDirectory);
    if (before) return eventOf(FileEventType.FILE_EVENT_TYPE_REMOVE, oldPath, isDirectory);
    return undefined;
  }

  #isGone({ type, path, oldPath }: FileChange): boolean {
    if (type === FileEventType.FILE_EVENT_TYPE_REMOVE) return path === this.#path;
    return oldPath !== '' && `${this.#path}/`.startsWith(`${oldPath}/`);
  }

  #covers(path: string): boolean {
    if (!this.#recursive) return path !== this.#path && dirname(path) === this.#path;
    return path.startsWith(this.#path === '/' ? '/' : `${this.#path}/`);
  }

  #add(event: FileEvent): void {
    if (this.#events.length >= EVENTS_MAX) {
      this.#events = [eventOf(FileEventType.FILE_EVENT_TYPE_OVERFLOW, this.#path, true)];
    } else {
      this.#events.push(event);
    }
    this.#wake();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }
}

function eventOf(type: FileEventType, path: string, isDirectory = true): FileEvent {
  return { type, path, oldPath: '', isDirectory };
}
