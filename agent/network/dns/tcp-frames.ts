/** DNS over TCP (RFC 1035, 4.2.2): each message behind its length in two bytes. */

const LENGTH_BYTES = 2;
/** The largest message that a length can tell. */
export const FRAME_BYTES_MAX = 0xffff;

/** The message with its length in front. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Cuts a stream into messages. It holds one incomplete message at most. */
export class FrameReader {
  readonly #messageBytesMax: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(messageBytesMax = FRAME_BYTES_MAX) {
    this.#messageBytesMax = messageBytesMax;
  }

  /**
   * Adds a piece of the stream.
   * @returns the messages that it completes.
   * @throws Error when a message is announced that is larger than allowed.
   */
  add(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    while (this.#rest.length >= LENGTH_BYTES) {
      const length = this.#rest.readUInt16BE(0);
      if (length > this.#messageBytesMax) throw new Error(`message of ${length} bytes`);
      const end = LENGTH_BYTES + length;
      if (this.#rest.length < end) break;
      messages.push(this.#rest.subarray(LENGTH_BYTES, end));
      this.#rest = this.#rest.subarray(end);
    }
    return messages;
  }
}
