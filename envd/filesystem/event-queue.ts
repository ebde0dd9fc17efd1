/** Events on their way to a caller who may be slow. */
import { type FileEvent, FileEventType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';

/** Events that are held for one caller; with one more all are dropped. */
export const EVENTS_MAX = 4096;
/** Characters of the paths of all events that are held. */
const PATHS_LENGTH_MAX = 1024 * 1024;

const READY = FileEventType.FILE_EVENT_TYPE_READY;
const OVERFLOW = FileEventType.FILE_EVENT_TYPE_OVERFLOW;
/** Events that say nothing new as long as the last one of the same path has not been taken. */
const REPEATABLE = new Set<FileEventType>([
  FileEventType.FILE_EVENT_TYPE_WRITE,
  FileEventType.FILE_EVENT_TYPE_CHMOD,
]);

export class EventQueue {
  #events: FileEvent[] = [];
  /** Events at the start of the array that are taken already. */
  #taken = 0;
  #pathsLength = 0;
  /** The newest event of each path that waits. */
  readonly #newest = new Map<string, FileEvent>();
  #wake: (() => void) | undefined;
  #end: { error: unknown } | undefined;

  /** Adds an event; where there is no room, one OVERFLOW takes the place of all before it. */
  push(event: FileEvent): void {
    if (REPEATABLE.has(event.type) && this.#newest.get(event.path)?.type === event.type) return;
    if (event.type === OVERFLOW && this.#events.at(-1)?.type === OVERFLOW) return;
    if (!this.#hasRoom(event)) this.#dropAll();
    if (event.type !== OVERFLOW || this.#events.at(-1)?.type !== OVERFLOW) this.#add(event);
    this.#wake?.();
  }

  /** Nothing follows: the error is thrown once all events are taken. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** The events as they come. @throws what `fail` was given. */
  async *take(): AsyncGenerator<FileEvent, never, void> {
    for (;;) {
      const event = this.#shift();
      if (event) {
        yield event;
        continue;
      }
      if (this.#end) throw this.#end.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #hasRoom(event: FileEvent): boolean {
    return (
      this.#events.length - this.#taken < EVENTS_MAX &&
      this.#pathsLength + lengthOf(event) <= PATHS_LENGTH_MAX
    );
  }

  #add(event: FileEvent): void {
    this.#events.push(event);
    this.#pathsLength += lengthOf(event);
    for (const path of pathsOf(event)) this.#newest.set(path, event);
  }

  #dropAll(): void {
    // That the watch has begun is not lost.
    const ready = this.#events.slice(this.#taken).filter(({ type }) => type === READY);
    this.#events = [];
    this.#taken = 0;
    this.#pathsLength = 0;
    this.#newest.clear();
    for (const event of ready) this.#add(event);
    this.#add({ type: OVERFLOW, path: '', oldPath: '', isDirectory: false });
  }

  #shift(): FileEvent | undefined {
    const event = this.#events[this.#taken];
    if (!event) return undefined;
    this.#taken += 1;
    // To take them off the array one at a time would cost its length for each.
    if (this.#taken === this.#events.length || this.#taken >= EVENTS_MAX) {
      this.#events = this.#events.slice(this.#taken);
      this.#taken = 0;
    }
    this.#pathsLength -= lengthOf(event);
    for (const path of pathsOf(event)) {
      if (this.#newest.get(path) === event) this.#newest.delete(path);
    }
    return event;
  }
}

function pathsOf({ path, oldPath }: FileEvent): string[] {
  return oldPath ? [path, oldPath] : [path];
}

function lengthOf({ path, oldPath }: FileEvent): number {
  return path.length + oldPath.length;
}
