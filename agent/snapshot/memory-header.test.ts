import { expect } from 'chai';
import { addon, SOURCE_INHERIT, SOURCE_ZERO } from '../../native/addon/binding.js';
import {
  BUILDS_MAX,
  depth,
  HeaderError,
  isFlat,
  MEMORY_BYTES_MAX,
  type MemoryHeader,
  parseHeader,
  serializeHeader,
} from './memory-header.js';
import { BLOCK_BYTES } from './memory-map.js';

/** Places of fields in the file. */
const BLOCKS_AT = 16;
const FLAGS_AT = 24;
const BUILDS_AT = 28;
const RUNS_AT = 32;
const CHECKSUMS_AT = 36;
const BUILDS_START = 40;
const BUILD_BYTES = 9;
const RUN_BYTES = 16;

const header: MemoryHeader = {
  sizeBytes: 16 * BLOCK_BYTES,
  builds: ['aaaaaaaa', 'bbbbbbbb'],
  runs: Uint32Array.of(...[0, 4, 0, 0], ...[4, 2, 1, 10], ...[6, 9, SOURCE_ZERO, 0], 15, 1, 0, 15),
  checksums: Uint32Array.of(1, 2, 3, 4, 5, 6, 0xffff_ffff),
  mappable: false,
};
const RUNS_START = BUILDS_START + header.builds.length * BUILD_BYTES;

/** The header with other bytes at a place, and the checksum that they need. */
function resealed(offset: number, bytes: Buffer): Buffer {
  const altered = serializeHeader(header);
  bytes.copy(altered, offset);
  const end = altered.length - 4;
  altered.writeUInt32LE(addon().crc32c(altered.subarray(0, end)), end);
  return altered;
}

function withNumber(offset: number, number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return resealed(offset, bytes);
}

/** The same header with other content, written as if it was right. */
function altered(change: Partial<MemoryHeader>): () => Buffer {
  return () => serializeHeader({ ...header, ...change });
}

function expectRefused(bytes: Buffer, what: string): void {
  let thrown: unknown;
  try {
    parseHeader(bytes);
  } catch (error) {
    thrown = error;
  }
  expect(thrown, what).to.be.instanceOf(HeaderError);
  expect(thrown).to.include({ reason: 'SNAPSHOT_DAMAGED' });
}

describe('the header of a memory', () => {
  it('is read as it was written', () => {
    expect(parseHeader(serializeHeader(header))).to.deep.equal(header);
    expect(depth(header)).to.equal(2);
    expect(isFlat(header)).to.equal(false);
  });

  it('may lie anywhere in a larger buffer', () => {
    const bytes = serializeHeader(header);
    const around = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]);
    expect(parseHeader(around.subarray(3, 3 + bytes.length))).to.deep.equal(header);
  });

  it('may have no checksums, and no builds', () => {
    const unverified = { ...header, checksums: new Uint32Array() };
    expect(parseHeader(serializeHeader(unverified))).to.deep.equal(unverified);
    const empty: MemoryHeader = {
      sizeBytes: BLOCK_BYTES,
      builds: [],
      runs: Uint32Array.of(0, 1, SOURCE_ZERO, 0),
      checksums: new Uint32Array(),
      mappable: true,
    };
    expect(parseHeader(serializeHeader(empty))).to.deep.equal(empty);
  });

  it('may be that of the largest memory', () => {
    const blocks = MEMORY_BYTES_MAX / BLOCK_BYTES;
    const largest: MemoryHeader = {
      sizeBytes: MEMORY_BYTES_MAX,
      builds: ['a'.repeat(64)],
      runs: Uint32Array.of(0, 1, 0, blocks - 1, 1, blocks - 1, SOURCE_ZERO, 0),
      checksums: Uint32Array.of(7),
      mappable: false,
    };
    expect(parseHeader(serializeHeader(largest))).to.deep.equal(largest);
    expect(altered({ ...largest, sizeBytes: MEMORY_BYTES_MAX + BLOCK_BYTES })).to.throw(RangeError);
  });

  it('is refused wherever it is cut off, and with anything behind it', () => {
    const bytes = serializeHeader(header);
    for (let length = 0; length < bytes.length; length++)
      expectRefused(bytes.subarray(0, length), `${length} bytes`);
    expectRefused(Buffer.concat([bytes, Buffer.alloc(1)]), 'a byte more');
    expectRefused(Buffer.concat([bytes, bytes]), 'twice');
  });

  it('is refused with any bit flipped', () => {
    const bytes = serializeHeader(header);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit % 8));
      expectRefused(flipped, `bit ${bit}`);
    }
  });

  it('is refused with fields out of range although its checksum is right', () => {
    const fields = { blocks: BLOCKS_AT, builds: BUILDS_AT, runs: RUNS_AT, checksums: CHECKSUMS_AT };
    for (const [name, offset] of Object.entries(fields))
      for (const number of [0, 1, 12, 0x0fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
        expectRefused(withNumber(offset, number), `${number} ${name}`);
    expectRefused(withNumber(BLOCKS_AT + 4, 1), 'blocks above 32 bits');
    expectRefused(resealed(BLOCKS_AT, Buffer.alloc(8, 0xff)), 'blocks of 64 bits');
    expectRefused(withNumber(FLAGS_AT, 1), 'mappable with two builds');
    expectRefused(withNumber(FLAGS_AT, 2), 'an unknown flag');
    expectRefused(withNumber(0, 0), 'another magic');
    expectRefused(withNumber(8, 2), 'another version');
    expectRefused(withNumber(12, 8192), 'another block size');
  });

  it('is refused with runs that overlap, leave a gap, or lie outside', () => {
    const cases: [string, number, number][] = [
      ['gap at the start', 0, 1],
      ['overlap', RUN_BYTES, 3],
      ['gap', RUN_BYTES, 5],
      ['empty run', 4, 0],
      ['run beyond the memory', 3 * RUN_BYTES + 4, 2],
      ['count that wraps', 3 * RUN_BYTES + 4, 0xffff_fff1],
      ['unknown build', 8, 2],
      ['inherited blocks', 8, SOURCE_INHERIT],
      ['place beyond any file', 12, 0xffff_fffe],
      ['place of zero blocks', 2 * RUN_BYTES + 12, 1],
      ['build that is not used', RUN_BYTES + 8, 0],
    ];
    for (const [what, offset, number] of cases)
      expectRefused(withNumber(RUNS_START + offset, number), what);
  });

  it('is refused with builds that are none, or named twice', () => {
    for (const id of ['AAAAAAAA', 'aaaa/../', 'aaa\0aaaa', 'bbbbbbbb', 'aaaaaaa\n'])
      expectRefused(resealed(BUILDS_START + 1, Buffer.from(id)), id);
    expectRefused(resealed(BUILDS_START, Buffer.of(7)), 'a shorter id');
    expectRefused(resealed(BUILDS_START, Buffer.of(255)), 'a longer id');
  });

  it('is not allocated for before its counts are known to be true', () => {
    const bytes = serializeHeader(header);
    const before = process.memoryUsage().arrayBuffers;
    const claims = [RUNS_AT, CHECKSUMS_AT, BUILDS_AT, BLOCKS_AT].map((offset) => {
      const claim = Buffer.from(bytes);
      claim.writeUInt32LE(0x00ff_ffff, BLOCKS_AT);
      claim.writeUInt32LE(offset === BLOCKS_AT ? 0x00ff_ffff : 0xffff_ffff, offset);
      return claim;
    });
    // As many runs and checksums as the largest memory may have, and none of them there.
    const possible = Buffer.from(bytes);
    possible.writeUInt32LE(0x00ff_ffff, BLOCKS_AT);
    possible.writeUInt32LE(0x00ff_ffff, RUNS_AT);
    possible.writeUInt32LE(0x00ff_ffff, CHECKSUMS_AT);
    for (const claim of [...claims, possible]) expectRefused(claim, 'counts beyond the file');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1024 * 1024);
  });

  it('is refused with a build more than a chain may have, and only then', () => {
    const full = serializeHeader(deepHeader(BUILDS_MAX));
    expect(parseHeader(full)).to.deep.equal(deepHeader(BUILDS_MAX));
    expect(writeDeep(BUILDS_MAX).equals(full)).to.equal(true);
    expectRefused(writeDeep(BUILDS_MAX + 1), 'depth 11');
  });

  /** One block of each build. */
  function deepHeader(depth: number): MemoryHeader {
    const builds = Array.from({ length: depth }, (_, index) => `build${1000 + index}`);
    const runs = Uint32Array.from(builds.flatMap((_, index) => [index, 1, index, index]));
    const checksums = new Uint32Array(depth);
    return { sizeBytes: depth * BLOCK_BYTES, builds, runs, checksums, mappable: false };
  }

  /** The same as a file, also where it would not be written. */
  function writeDeep(depth: number): Buffer {
    const { builds, runs, checksums } = deepHeader(depth);
    const fixed = serializeHeader(header).subarray(0, BUILDS_START);
    for (const at of [BLOCKS_AT, BUILDS_AT, RUNS_AT, CHECKSUMS_AT]) fixed.writeUInt32LE(depth, at);
    const ids = builds.map((id) => Buffer.from(`${String.fromCharCode(id.length)}${id}`));
    const words = [runs, checksums].map((numbers) => Buffer.from(numbers.buffer));
    const body = Buffer.concat([fixed, ...ids, ...words]);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32LE(addon().crc32c(body));
    return Buffer.concat([body, checksum]);
  }

  it('is never written so that it could not be read', () => {
    const changes: [string, Partial<MemoryHeader>][] = [
      ['11 builds', deepHeader(BUILDS_MAX + 1)],
      ['no runs', { runs: new Uint32Array() }],
      ['half a run', { runs: header.runs.subarray(0, 14) }],
      ['a checksum too few', { checksums: header.checksums.subarray(1) }],
      ['mappable', { mappable: true }],
      ['no size', { sizeBytes: 0 }],
      ['an odd size', { sizeBytes: header.sizeBytes + 1 }],
    ];
    for (const [what, change] of changes) expect(altered(change), what).to.throw(RangeError);
  });
});
