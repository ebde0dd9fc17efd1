/** The last bytes of an output that never ends: memory stays bounded, what it says is safe to log. */
export class OutputTail {
  readonly #bytesMax: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  append(chunk: Uint8Array): void {
    const kept = this.#bytes.subarray(
      Math.max(0, this.#bytes.length + chunk.length - this.#bytesMax),
    );
    this.#bytes = Buffer.concat([kept, chunk.subarray(Math.max(0, chunk.length - this.#bytesMax))]);
  }

  /** As text: without carriage returns, and with other control characters replaced. */
  text(): string {
    return (
      this.#bytes
        .toString('utf8')
        .replaceAll('\r', '')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced.
        .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\u{fffd}')
    );
  }
}
