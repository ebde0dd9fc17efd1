/**
 * The newest output of a launched program, in memory. All its streams share one offset space: the
 * offset of a byte is the number of bytes that were appended before it. Bytes lie in pages, so that
 * what is kept costs the same whether a program writes by the byte or by the megabyte.
 */
import { ChangeCounter } from '../lifecycle/change-counter.js';
import { outputOutOfRange } from './guest-failure.js';
import type { RingState } from './process-state.js';

/** Output that is kept of one program. */
export const RING_BYTES_MAX = 1024 * 1024;
/** Largest piece that a reader gets. */
export const OUTPUT_CHUNK_BYTES_MAX = 32 * 1024;
/** Largest piece that may be appended at one time. */
export const OUTPUT_PIECE_BYTES_MAX = 64 * 1024;
/**
 * What the holder has been given lately is kept too: pieces that lie in buffers and on the wire
 * are lost when its connection breaks, and it asks for them again.
 */
export const BYTES_IN_FLIGHT_MAX = 512 * 1024;

const STREAMS = ['stdout', 'stderr', 'pty'] as const;

export type OutputStreamName = (typeof STREAMS)[number];

export interface OutputChunk {
  stream: OutputStreamName;
  /** Offset of the first byte. */
  offset: number;
  /** At most OUTPUT_CHUNK_BYTES_MAX; a view that stays as it is, also when the ring goes on. */
  data: Buffer;
}

interface Page {
  /** Offset of its first byte. */
  offset: number;
  bytes: Buffer;
  /** Where its only stream stands in STREAMS, or for each byte when there are several. */
  streams: number | Buffer;
}

export class OutputRing {
  readonly #capacityBytes: number;
  readonly #holdBytes: number;
  readonly #changes = new ChangeCounter();
  #pages: Page[] = [];
  #nextOffset = 0;
  #heldFrom: number | undefined;

  /** @param capacityBytes how much is kept; more than can be in flight to the holder. */
  constructor(capacityBytes = RING_BYTES_MAX) {
    this.#capacityBytes = capacityBytes;
    this.#holdBytes = capacityBytes - BYTES_IN_FLIGHT_MAX - OUTPUT_PIECE_BYTES_MAX;
    if (this.#holdBytes < 0) throw new RangeError(`no ring: ${capacityBytes} bytes`);
  }

  /** Makes a ring that holds what another one did. */
  static import({ firstOffset, chunks }: RingState): OutputRing {
    const ring = new OutputRing();
    ring.#nextOffset = firstOffset;
    for (const [stream, data] of chunks) ring.append(stream, Buffer.from(data, 'base64'));
    return ring;
  }

  export(): RingState {
    const chunks: RingState['chunks'] = [];
    for (let offset = this.firstOffset; offset < this.#nextOffset; ) {
      const chunk = this.read(offset);
      if (!chunk) break;
      chunks.push([chunk.stream, chunk.data.toString('base64')]);
      offset += chunk.data.length;
    }
    return { firstOffset: this.firstOffset, chunks };
  }

  /** What the holder takes next; undefined when nobody holds. */
  get heldFrom(): number | undefined {
    return this.#heldFrom;
  }

  /** Offset of the first byte that is kept; with nothing kept that of the next one. */
  get firstOffset(): number {
    return Math.max(0, this.#nextOffset - this.#capacityBytes);
  }

  /** Offset of the byte that is appended next. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Bytes that are kept. */
  get sizeBytes(): number {
    return this.#nextOffset - this.firstOffset;
  }

  /**
   * Whether nothing may be appended until the holder has taken more. It turns true early enough
   * for one last piece, so that whoever asks before each append never drops a byte that the holder
   * may still want.
   */
  get holdsBack(): boolean {
    return this.#heldFrom !== undefined && this.#nextOffset - this.#heldFrom > this.#holdBytes;
  }

  /** Says what the holder takes next; undefined when nobody holds. */
  holdFrom(offset: number | undefined): void {
    const heldBack = this.holdsBack;
    this.#heldFrom = offset;
    if (heldBack && !this.holdsBack) this.wake();
  }

  /** Appends a copy of a piece of at most OUTPUT_PIECE_BYTES_MAX; the oldest bytes make room. */
  append(stream: OutputStreamName, data: Uint8Array): void {
    if (data.length > OUTPUT_PIECE_BYTES_MAX) throw new RangeError('the piece is too large');
    if (data.length === 0) return;
    for (let taken = 0; taken < data.length; ) {
      const page = this.#openPage();
      const from = this.#nextOffset - page.offset;
      const part = data.subarray(taken, taken + OUTPUT_CHUNK_BYTES_MAX - from);
      page.bytes.set(part, from);
      markStream(page, STREAMS.indexOf(stream), from, from + part.length);
      this.#nextOffset += part.length;
      taken += part.length;
    }
    this.#dropPages();
    this.wake();
  }

  /**
   * The output at an offset, up to a change of streams or OUTPUT_CHUNK_BYTES_MAX.
   * @returns undefined when nothing has been written there yet.
   * @throws WrennError OUTPUT_OUT_OF_RANGE for an offset before the first or behind the next.
   */
  read(offset: number): OutputChunk | undefined {
    this.requireOffset(offset);
    const page = this.#pages[this.#pageIndex(offset)];
    if (!page || offset === this.#nextOffset) return undefined;
    const from = offset - page.offset;
    const to = Math.min(OUTPUT_CHUNK_BYTES_MAX, this.#nextOffset - page.offset);
    const { stream, end } = streamRun(page, from, to);
    return { stream, offset, data: page.bytes.subarray(from, end) };
  }

  /** @throws WrennError OUTPUT_OUT_OF_RANGE for an offset before the first or behind the next. */
  requireOffset(offset: number): void {
    if (offset >= this.firstOffset && offset <= this.#nextOffset) return;
    throw outputOutOfRange(this.firstOffset, this.#nextOffset);
  }

  /**
   * Resolves when something is appended, the holder holds back no more, or somebody calls `wake`.
   * @throws the signal's reason when it aborts first.
   */
  async changed(signal: AbortSignal): Promise<void> {
    await this.#changes.after(this.#changes.count, signal);
  }

  /** Wakes all who wait, for a cause beside the ring. */
  wake(): void {
    this.#changes.bump();
  }

  /** The last page, which has room for at least one byte. */
  #openPage(): Page {
    const last = this.#pages.at(-1);
    if (last && this.#nextOffset < last.offset + OUTPUT_CHUNK_BYTES_MAX) return last;
    const page: Page = {
      offset: this.#nextOffset,
      bytes: Buffer.allocUnsafeSlow(OUTPUT_CHUNK_BYTES_MAX),
      streams: 0,
    };
    this.#pages.push(page);
    return page;
  }

  #dropPages(): void {
    const kept = this.#pageIndex(this.firstOffset);
    if (kept > 0) this.#pages = this.#pages.slice(kept);
  }

  /** Only the last page is not full, so an offset tells where it lies. */
  #pageIndex(offset: number): number {
    return Math.floor((offset - (this.#pages[0]?.offset ?? 0)) / OUTPUT_CHUNK_BYTES_MAX);
  }
}

function markStream(page: Page, stream: number, from: number, to: number): void {
  if (from === 0) page.streams = stream;
  if (page.streams === stream) return;
  if (typeof page.streams === 'number') {
    page.streams = Buffer.alloc(OUTPUT_CHUNK_BYTES_MAX, page.streams);
  }
  page.streams.fill(stream, from, to);
}

/** The stream of a byte of a page, and where the bytes of that stream end. */
function streamRun(
  { streams }: Page,
  from: number,
  to: number,
): { stream: OutputStreamName; end: number } {
  const index = typeof streams === 'number' ? streams : (streams[from] ?? 0);
  const stream = STREAMS[index] ?? 'stdout';
  if (typeof streams === 'number') return { stream, end: to };
  const ends = STREAMS.map((_, other) => (other === index ? -1 : streams.indexOf(other, from)));
  return { stream, end: Math.min(to, ...ends.filter((end) => end >= 0)) };
}
