import { expect } from 'chai';
import { SOURCE_INHERIT, SOURCE_ZERO } from '../../native/addon/binding.js';
import { applyDiff, legacyHeader, type MemoryDiff, mergedHeader } from './memory-diff.js';
import { BUILDS_MAX, isFlat, type MemoryHeader } from './memory-header.js';
import { BLOCK_BYTES } from './memory-map.js';

const BLOCKS = 16;
const sizeBytes = BLOCKS * BLOCK_BYTES;

/** Runs of a diff: how many blocks of each kind, in order. */
function diffOf(...parts: ['own' | 'zero' | 'inherit', number][]): MemoryDiff {
  const sources = { own: 0, zero: SOURCE_ZERO, inherit: SOURCE_INHERIT };
  const runs: number[] = [];
  const checksums: number[] = [];
  let first = 0;
  for (const [kind, count] of parts) {
    runs.push(first, count, sources[kind], kind === 'own' ? first : 0);
    if (kind === 'own') for (let block = 0; block < count; block++) checksums.push(first + block);
    first += count;
  }
  return { sizeBytes, runs: Uint32Array.from(runs), checksums: Uint32Array.from(checksums) };
}

function withChecksums(diff: MemoryDiff, added: number): MemoryDiff {
  return { ...diff, checksums: diff.checksums.map((checksum) => checksum + added) };
}

describe('a diff over its parent', () => {
  const first = applyDiff(undefined, diffOf(['own', 8], ['zero', 8]), 'aaaaaaaa');

  it('is a header of its own when there is no parent', () => {
    expect(first).to.deep.equal({
      sizeBytes,
      builds: ['aaaaaaaa'],
      runs: Uint32Array.of(0, 8, 0, 0, 8, 8, SOURCE_ZERO, 0),
      checksums: Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7),
      mappable: true,
    });
  });

  it('takes its own blocks, zero where it says so, and leaves all others where they were', () => {
    const diff = diffOf(['inherit', 2], ['own', 2], ['zero', 2], ['inherit', 4], ['own', 1]);
    const second = applyDiff(first, withChecksums(complete(diff), 100), 'bbbbbbbb');
    expect(second).to.deep.equal({
      sizeBytes,
      builds: ['aaaaaaaa', 'bbbbbbbb'],
      runs: Uint32Array.of(
        ...[0, 2, 0, 0],
        ...[2, 2, 1, 2],
        ...[4, 2, SOURCE_ZERO, 0],
        ...[6, 2, 0, 6],
        ...[8, 2, SOURCE_ZERO, 0],
        ...[10, 1, 1, 10],
        ...[11, 5, SOURCE_ZERO, 0],
      ),
      checksums: Uint32Array.of(0, 1, 102, 103, 6, 7, 110),
      mappable: false,
    });
  });

  /** The rest inherited. */
  function complete({ runs, checksums }: MemoryDiff): MemoryDiff {
    const end = (runs.at(-4) ?? 0) + (runs.at(-3) ?? 0);
    const rest = Uint32Array.of(...runs, end, BLOCKS - end, SOURCE_INHERIT, 0);
    return { sizeBytes, runs: rest, checksums };
  }

  it('drops the builds that nothing lies in any more, and counts the others anew', () => {
    const second = applyDiff(first, complete(diffOf(['inherit', 4], ['own', 4])), 'bbbbbbbb');
    const third = applyDiff(second, complete(diffOf(['own', 4])), 'cccccccc');
    expect(third.builds).to.deep.equal(['bbbbbbbb', 'cccccccc']);
    expect(third.runs).to.deep.equal(Uint32Array.of(0, 4, 1, 0, 4, 4, 0, 4, 8, 8, SOURCE_ZERO, 0));
    const all = applyDiff(third, diffOf(['own', BLOCKS]), 'dddddddd');
    expect(all.builds).to.deep.equal(['dddddddd']);
    expect(isFlat(all)).to.equal(true);
    const none = applyDiff(third, diffOf(['zero', BLOCKS]), 'dddddddd');
    expect(none).to.deep.include({ builds: [], checksums: new Uint32Array(), mappable: true });
  });

  it('may not be mapped as an old file that still has what was zeroed', () => {
    const zeroed = applyDiff(first, complete(diffOf(['zero', 2])), 'bbbbbbbb');
    expect(zeroed.builds).to.deep.equal(['aaaaaaaa']);
    expect(isFlat(zeroed)).to.equal(false);
    const untouched = applyDiff(zeroed, diffOf(['inherit', BLOCKS]), 'cccccccc');
    expect(isFlat(untouched)).to.equal(false);
    expect(isFlat(applyDiff(first, diffOf(['inherit', BLOCKS]), 'cccccccc'))).to.equal(true);
  });

  it('has no checksums as long as it reads from a file that has none', () => {
    const legacy = legacyHeader(sizeBytes, 'aaaaaaaa', [{ offset: 0, sizeBytes }]);
    const half = applyDiff(legacy, complete(diffOf(['own', 8])), 'bbbbbbbb');
    expect(half.checksums.length).to.equal(0);
    const whole = applyDiff(half, diffOf(['inherit', 8], ['own', 8]), 'cccccccc');
    expect(whole.checksums.length).to.equal(0);
    const verified = applyDiff(half, diffOf(['own', BLOCKS]), 'cccccccc');
    expect(verified.checksums.length).to.equal(BLOCKS);
  });

  it('is refused when it does not belong to the parent, or is none', () => {
    const right = diffOf(['own', 1], ['inherit', BLOCKS - 1]);
    const cases: [string, MemoryHeader | undefined, MemoryDiff, string][] = [
      ['inherits from nothing', undefined, right, 'bbbbbbbb'],
      ['another size', first, { ...right, sizeBytes: sizeBytes * 2 }, 'bbbbbbbb'],
      ['the same build', first, right, 'aaaaaaaa'],
      ['no checksums', first, { ...right, checksums: new Uint32Array() }, 'bbbbbbbb'],
      ['too short', first, diffOf(['own', BLOCKS - 1]), 'bbbbbbbb'],
      ['too long', first, diffOf(['own', BLOCKS + 1]), 'bbbbbbbb'],
    ];
    for (const [what, parent, diff, build] of cases)
      expect(() => applyDiff(parent, diff, build), what).to.throw(RangeError);
  });

  it('makes a chain as long as may be kept, and no longer one', () => {
    let header: MemoryHeader | undefined;
    for (let build = 0; build < BUILDS_MAX; build++)
      header = applyDiff(header, ownBlock(build, header), `build00${100 + build}`);
    expect(header?.builds.length).to.equal(BUILDS_MAX);
    const next = ownBlock(BUILDS_MAX, header);
    expect(() => applyDiff(header, next, 'build00999')).to.throw(RangeError);
  });

  function ownBlock(block: number, parent: MemoryHeader | undefined): MemoryDiff {
    const other = parent ? 'inherit' : 'zero';
    const before: ['inherit' | 'zero', number][] = block > 0 ? [[other, block]] : [];
    return diffOf(...before, ['own', 1], [other, BLOCKS - block - 1]);
  }
});

describe('the header of a merged memory', () => {
  it('has every block at its own address in one build, with the same checksums', () => {
    const first = applyDiff(undefined, diffOf(['own', 8], ['zero', 8]), 'aaaaaaaa');
    const diff = diffOf(['inherit', 2], ['own', 2], ['zero', 2], ['inherit', 10]);
    const merged = mergedHeader(applyDiff(first, diff, 'bbbbbbbb'), 'cccccccc');
    expect(merged).to.deep.equal({
      sizeBytes,
      builds: ['cccccccc'],
      runs: Uint32Array.of(
        ...[0, 4, 0, 0],
        ...[4, 2, SOURCE_ZERO, 0],
        ...[6, 2, 0, 6],
        ...[8, 8, SOURCE_ZERO, 0],
      ),
      checksums: Uint32Array.of(0, 1, 2, 3, 6, 7),
      mappable: true,
    });
    expect(mergedHeader(merged, 'cccccccc')).to.deep.equal(merged);
  });

  it('has no build when all of the memory is zero', () => {
    const zero = applyDiff(undefined, diffOf(['zero', BLOCKS]), 'aaaaaaaa');
    expect(mergedHeader(zero, 'bbbbbbbb').builds).to.deep.equal([]);
  });
});

describe('the header of a plain memory file', () => {
  it('has data where the file has some, by whole blocks, and zero elsewhere', () => {
    const header = legacyHeader(sizeBytes, 'aaaaaaaa', [
      { offset: BLOCK_BYTES + 1, sizeBytes: 1 },
      { offset: BLOCK_BYTES + 100, sizeBytes: BLOCK_BYTES },
      { offset: sizeBytes - 1, sizeBytes: 1 },
    ]);
    expect(header).to.deep.equal({
      sizeBytes,
      builds: ['aaaaaaaa'],
      runs: Uint32Array.of(
        ...[0, 1, SOURCE_ZERO, 0],
        ...[1, 2, 0, 1],
        ...[3, BLOCKS - 4, SOURCE_ZERO, 0],
        ...[BLOCKS - 1, 1, 0, BLOCKS - 1],
      ),
      checksums: new Uint32Array(),
      mappable: true,
    });
  });

  it('is all zero without data, and refused with data outside or out of order', () => {
    expect(legacyHeader(sizeBytes, 'aaaaaaaa', [])).to.deep.include({ builds: [] });
    const outside = [{ offset: sizeBytes - 1, sizeBytes: 2 }];
    const unordered = [
      { offset: 8 * BLOCK_BYTES, sizeBytes: 1 },
      { offset: 0, sizeBytes: 1 },
    ];
    for (const extents of [outside, unordered])
      expect(() => legacyHeader(sizeBytes, 'aaaaaaaa', extents)).to.throw(RangeError);
  });
});
