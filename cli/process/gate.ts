/** Something that is waited for, again and again: open while it is there. */
export class Gate {
  #isOpen = false;
  #wasOpen = false;
  #waiting: (() => void)[] = [];

  /** Whether it has been open before, or is. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  open(): void {
    this.#isOpen = true;
    this.#wasOpen = true;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  shut(): void {
    this.#isOpen = false;
  }

  /** Resolves while it is open. */
  async passed(): Promise<void> {
    while (!this.#isOpen) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
