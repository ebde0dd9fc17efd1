/** Random damage to headers: each is refused as damaged, or is a header in every respect. */
import { expect } from 'chai';
import fc from 'fast-check';
import { addon, SOURCE_ZERO } from '../../native/addon/binding.js';
import { HeaderError, type MemoryHeader, parseHeader, serializeHeader } from './memory-header.js';
import { BLOCK_BYTES, RunWriter } from './memory-map.js';

/** Mutations for each run of the suite; a failure prints the seed that brings it back. */
const MUTATIONS = 20_000;
const CHECKSUM_BYTES = 4;
const TIMEOUT_MS = 60_000;

type Mutation =
  | { kind: 'byte'; at: number; value: number }
  | { kind: 'number'; at: number; value: number }
  | { kind: 'cut'; at: number }
  | { kind: 'insert'; at: number; bytes: Uint8Array }
  | { kind: 'repeat'; at: number; count: number };

const at = fc.nat(400);
const interesting = fc.oneof(
  fc.constantFrom(0, 1, 12, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff),
  fc.nat(64),
  fc.nat(0xffff_ffff),
);
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at, value: fc.nat(255) }),
  fc.record({ kind: fc.constant('number' as const), at, value: interesting }),
  fc.record({ kind: fc.constant('cut' as const), at }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.uint8Array({ maxLength: 20 }) }),
  fc.record({ kind: fc.constant('repeat' as const), at, count: fc.integer({ min: 1, max: 64 }) }),
);

/** Each run: how long it is, and its build, or 0 for zero. */
const headers = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(3)), { minLength: 1, maxLength: 8 })
  .map(makeHeader);

function makeHeader(parts: readonly (readonly [number, number])[]): MemoryHeader {
  const used = [...new Set(parts.map(([, build]) => build))].filter((build) => build > 0).sort();
  const runs = new RunWriter();
  let blocks = 0;
  let stored = 0;
  for (const [count, build] of parts) {
    const source = build > 0 ? used.indexOf(build) : SOURCE_ZERO;
    runs.append(blocks, count, source, build > 0 ? blocks : 0);
    blocks += count;
    if (build > 0) stored += count;
  }
  return {
    sizeBytes: blocks * BLOCK_BYTES,
    builds: used.map((build) => `build00${build}`),
    runs: runs.finish(),
    checksums: Uint32Array.from({ length: stored }, (_, index) => index * 0x9e37_79b1),
    mappable: used.length < 2,
  };
}

function mutate(bytes: Buffer, change: Mutation): Buffer {
  const place = Math.min(change.at, bytes.length);
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  switch (change.kind) {
    case 'byte':
      return Buffer.concat([before, Buffer.of(change.value), after.subarray(1)]);
    case 'number': {
      const number = Buffer.alloc(4);
      number.writeUInt32LE(change.value);
      return Buffer.concat([before, number, after.subarray(4)]);
    }
    case 'cut':
      return before;
    case 'insert':
      return Buffer.concat([before, change.bytes, after]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, change.count), after]);
  }
}

/** With a checksum that is right, so that what is behind it is tried as well. */
function sealed(bytes: Buffer): Buffer {
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(addon().crc32c(bytes));
  return Buffer.concat([bytes, checksum]);
}

describe('headers with random damage', function () {
  this.timeout(TIMEOUT_MS);

  it('come back as they were without any', () => {
    fc.assert(
      fc.property(headers, (header) => {
        expect(parseHeader(serializeHeader(header))).to.deep.equal(header);
      }),
    );
  });

  it('are refused, or are what would be written for what they say', () => {
    const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(headers, mutations, fc.boolean(), (header, changes, seal) => {
        const whole = serializeHeader(header);
        const body = seal ? whole.subarray(0, -CHECKSUM_BYTES) : whole;
        const damaged = changes.reduce(mutate, body);
        const bytes = seal ? sealed(damaged) : damaged;
        try {
          expect(serializeHeader(parseHeader(bytes)).equals(bytes)).to.equal(true);
        } catch (error) {
          expect(error).to.be.instanceOf(HeaderError);
        }
      }),
      { numRuns: MUTATIONS },
    );
  });

  it('of nothing but random bytes are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), (bytes) => {
        expect(() => parseHeader(sealed(Buffer.from(bytes)))).to.throw(HeaderError);
      }),
    );
  });
});
