/** The first part of an output; what exceeds it is dropped. */
export class CapturedOutput {
  readonly #sizeBytesMax: number;
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #truncated = false;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  add(chunk: Buffer): void {
    const room = this.#sizeBytesMax - this.#sizeBytes;
    if (chunk.length > room) this.#truncated = true;
    if (room === 0 || chunk.length === 0) return;
    const kept = chunk.subarray(0, room);
    this.#chunks.push(kept);
    this.#sizeBytes += kept.length;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  content(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}
