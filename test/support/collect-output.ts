/** Follows the events of a launched program, and holds a guest daemon to their order. */
import { expect } from 'chai';
import {
  OutputStream,
  type ProcessEvent,
  type ProcessEvent_Exited,
} from '../../gen/ts/wrenn/envd/v1/process.js';

const CHUNK_BYTES_MAX = 32 * 1024;

export class CollectedOutput {
  readonly #chunks: { stream: OutputStream; data: Buffer }[] = [];
  pid: number | undefined;
  exited: ProcessEvent_Exited | undefined;
  firstOffset: bigint | undefined;
  /** Offset of the byte that is expected next. */
  nextOffset: bigint | undefined;

  /** All output, or that of one stream. */
  bytes(stream?: OutputStream): Buffer {
    const wanted = this.#chunks.filter((chunk) => !stream || chunk.stream === stream);
    return Buffer.concat(wanted.map(({ data }) => data));
  }

  get text(): string {
    return this.bytes().toString();
  }

  get stderr(): string {
    return this.bytes(OutputStream.OUTPUT_STREAM_STDERR).toString();
  }

  /** Takes one event, which must be one that may come now. */
  add({ event }: ProcessEvent): void {
    expect(this.exited, 'an event after the end').to.equal(undefined);
    if (event?.$case === 'started') {
      expect(this.pid, 'a second start').to.equal(undefined);
      this.pid = event.value.pid;
      return;
    }
    expect(this.pid, 'an event before the start').to.be.greaterThan(0);
    if (event?.$case === 'exited') this.exited = event.value;
    else if (event?.$case === 'output') this.#addOutput(event.value);
    else throw new Error('an event that is none');
  }

  #addOutput({ stream, offset, data }: { stream: OutputStream; offset: bigint; data: Buffer }) {
    expect(data.length).to.be.within(1, CHUNK_BYTES_MAX);
    if (this.nextOffset !== undefined) expect(offset).to.equal(this.nextOffset);
    this.firstOffset ??= offset;
    this.nextOffset = offset + BigInt(data.length);
    this.#chunks.push({ stream, data });
  }
}

/** Collects a stream, up to its end or until what has come is enough. */
export async function collectOutput(
  events: AsyncIterable<ProcessEvent>,
  isEnough: (collected: CollectedOutput) => boolean = () => false,
): Promise<CollectedOutput> {
  const collected = new CollectedOutput();
  for await (const event of events) {
    collected.add(event);
    if (isEnough(collected)) break;
  }
  return collected;
}
