/** What one part of the page tells the others. */

class Signal<T> {
  readonly #listeners: ((value: T) => void)[] = [];

  listen(listener: (value: T) => void): void {
    this.#listeners.push(listener);
  }

  tell(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
}

/** The sandbox to show; empty for none. */
export const chosenSandbox = new Signal<string>();
/** The state of some sandbox, or the list of them, has changed. */
export const sandboxesChanged = new Signal<void>();
/** A snapshot has been made. */
export const snapshotsChanged = new Signal<void>();
/** Name of the template to start from next. */
export const templateToStart = new Signal<string>();

/** Shows a sandbox, which may be new to the list. */
export function choose(sandboxId: string): void {
  chosenSandbox.tell(sandboxId);
  sandboxesChanged.tell();
}
