import { expect } from 'chai';
import fc from 'fast-check';
import { Code, WrennError } from '../errors/index.js';
import {
  BYTES_IN_FLIGHT_MAX,
  OUTPUT_CHUNK_BYTES_MAX,
  OUTPUT_PIECE_BYTES_MAX,
  OutputRing,
  type OutputStreamName,
} from './output-ring.js';

const never = new AbortController().signal;
const STREAMS = ['stdout', 'stderr', 'pty'] as const;
/** The smallest ring that there can be: what is in flight, and one piece. */
const CAPACITY_BYTES = BYTES_IN_FLIGHT_MAX + OUTPUT_PIECE_BYTES_MAX;

describe('OutputRing', () => {
  it('gives what was appended, cut where the stream changes', () => {
    const ring = new OutputRing();
    ring.append('stdout', Buffer.from('ab'));
    ring.append('stdout', Buffer.from('c'));
    ring.append('stderr', Buffer.from('def'));
    ring.append('stdout', Buffer.from('g'));

    expect(chunks(ring, 0)).to.deep.equal([
      ['stdout', 0, 'abc'],
      ['stderr', 3, 'def'],
      ['stdout', 6, 'g'],
    ]);
    expect(chunks(ring, 4)).to.deep.equal([
      ['stderr', 4, 'ef'],
      ['stdout', 6, 'g'],
    ]);
    expect(chunks(ring, 7)).to.deep.equal([]);
  });

  it('keeps exactly its capacity, and names it for an offset outside', () => {
    const ring = new OutputRing(CAPACITY_BYTES);
    for (let count = 0; count < 20; count += 1) ring.append('pty', Buffer.alloc(50_001));

    expect(ring.nextOffset).to.equal(1_000_020);
    expect(ring.firstOffset).to.equal(1_000_020 - CAPACITY_BYTES);
    expect(ring.sizeBytes).to.equal(CAPACITY_BYTES);
    expect(ring.read(ring.firstOffset)?.offset).to.equal(ring.firstOffset);
    for (const offset of [0, ring.firstOffset - 1, ring.nextOffset + 1]) {
      const error = failure(() => ring.read(offset));
      expect(error).to.include({ code: Code.OUT_OF_RANGE, reason: 'OUTPUT_OUT_OF_RANGE' });
      expect(error.metadata).to.include({
        first_offset: String(ring.firstOffset),
        next_offset: '1000020',
      });
    }
  });

  it('does not change what it has given', () => {
    const ring = new OutputRing(CAPACITY_BYTES);
    const piece = Buffer.from('first');
    ring.append('stdout', piece);
    const given = ring.read(0);
    piece.fill('x');
    for (let count = 0; count < 20; count += 1) ring.append('stderr', Buffer.alloc(60_000, 'y'));

    expect(given?.data.toString()).to.equal('first');
  });

  it('takes no piece that is too large', () => {
    const ring = new OutputRing();

    expect(() => ring.append('stdout', Buffer.alloc(OUTPUT_PIECE_BYTES_MAX + 1))).to.throw();
    expect(() => new OutputRing(CAPACITY_BYTES - 1)).to.throw(RangeError);
  });

  it('wakes those who wait when something is appended', async () => {
    const ring = new OutputRing();
    const woken = ring.changed(never);

    ring.append('stdout', Buffer.from('x'));

    await woken;
    const cancel = new AbortController();
    const waiting = ring.changed(cancel.signal);
    cancel.abort(new Error('gone'));
    expect(await waiting.catch((error: Error) => error.message)).to.equal('gone');
  });

  it('holds back for the holder, and wakes when it has taken enough', async () => {
    const ring = new OutputRing();
    ring.holdFrom(0);
    while (!ring.holdsBack) ring.append('stdout', Buffer.alloc(10_000));
    const woken = ring.changed(never);

    ring.holdFrom(100_000);

    await woken;
    expect(ring.holdsBack).to.equal(false);
    ring.holdFrom(undefined);
    ring.append('stdout', Buffer.alloc(10_000));
    expect(ring.holdsBack).to.equal(false);
  });

  it('equals the newest part of the whole output, whatever was appended', () => {
    fc.assert(
      fc.property(
        fc.array(pieces(), { maxLength: 60 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }),
        (appended, positions) => {
          const ring = new OutputRing(CAPACITY_BYTES);
          const reference = appended.map(fill);
          for (const { stream, data } of reference) ring.append(stream, data);
          const whole = bytesOf(reference);

          expect(ring.nextOffset).to.equal(whole.length);
          expect(ring.firstOffset).to.equal(Math.max(0, whole.length - CAPACITY_BYTES));
          for (const position of positions) {
            const offset = ring.firstOffset + Math.floor(position * ring.sizeBytes);
            expect(readAll(ring, offset).equals(whole.subarray(offset))).to.equal(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('never drops what a holder may ask for again when it is asked before each append', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(pieces(), fc.boolean()), { minLength: 30, maxLength: 90 }),
        (steps) => {
          const ring = new OutputRing();
          let taken = 0;
          ring.holdFrom(0);
          for (const [piece, takes] of steps) {
            if (!ring.holdsBack) ring.append(piece.stream, fill(piece).data);
            const chunk = takes ? ring.read(taken) : undefined;
            if (chunk) taken += chunk.data.length;
            ring.holdFrom(taken);
            expect(ring.firstOffset).to.be.at.most(Math.max(0, taken - BYTES_IN_FLIGHT_MAX));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

interface Piece {
  stream: OutputStreamName;
  sizeBytes: number;
  seed: number;
}

function pieces(): fc.Arbitrary<Piece> {
  return fc.record({
    stream: fc.constantFrom(...STREAMS),
    sizeBytes: fc.oneof(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: OUTPUT_CHUNK_BYTES_MAX - 2, max: OUTPUT_CHUNK_BYTES_MAX + 2 }),
      fc.integer({ min: 0, max: OUTPUT_PIECE_BYTES_MAX }),
    ),
    seed: fc.integer({ min: 0, max: 250 }),
  });
}

/** Bytes that tell their stream by their value, so that one tagged wrongly is seen. */
function fill({ stream, sizeBytes, seed }: Piece): { stream: OutputStreamName; data: Buffer } {
  const data = Buffer.alloc(sizeBytes);
  for (let index = 0; index < sizeBytes; index += 1) {
    data[index] = ((seed + index) % 80) * STREAMS.length + STREAMS.indexOf(stream);
  }
  return { stream, data };
}

function bytesOf(reference: readonly { data: Buffer }[]): Buffer {
  return Buffer.concat(reference.map(({ data }) => data));
}

/** All from an offset on; each chunk must be in order, within its limit and of its stream. */
function readAll(ring: OutputRing, from: number): Buffer {
  const parts: Buffer[] = [];
  let offset = from;
  for (let chunk = ring.read(offset); chunk; chunk = ring.read(offset)) {
    const { stream, data } = chunk;
    expect(chunk.offset).to.equal(offset);
    expect(data.length).to.be.within(1, OUTPUT_CHUNK_BYTES_MAX);
    const index = STREAMS.indexOf(stream);
    if (!data.every((byte) => byte % STREAMS.length === index)) throw new Error('wrong stream');
    parts.push(data);
    offset += data.length;
  }
  return Buffer.concat(parts);
}

function chunks(ring: OutputRing, from: number): [string, number, string][] {
  const found: [string, number, string][] = [];
  let offset = from;
  for (let chunk = ring.read(offset); chunk; chunk = ring.read(offset)) {
    found.push([chunk.stream, chunk.offset, chunk.data.toString()]);
    offset += chunk.data.length;
  }
  return found;
}

function failure(action: () => unknown): WrennError {
  try {
    action();
  } catch (error) {
    if (error instanceof WrennError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}
