/** What the scan, merge and check of memory refuse, and how damage shows. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  addon,
  type MappedMemory,
  type MergeRequest,
  type ScanRequest,
  SOURCE_INHERIT,
  SOURCE_ZERO,
} from './binding.js';

const BLOCK_BYTES = 4096;
const BLOCKS = 16;
const sizeBytes = BLOCKS * BLOCK_BYTES;

/** The code, or else the name, of the error that a call throws, or rejects with. */
async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    return code ?? name;
  }
  return undefined;
}

describe('the memory functions of the addon', () => {
  let folder: string;
  let open: number[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wrenn-memory-'));
    open = [];
  });

  afterEach(() => {
    for (const fd of open) closeSync(fd);
    rmSync(folder, { recursive: true, force: true });
  });

  function file(name: string, mode = 'w+'): number {
    const fd = openSync(join(folder, name), mode);
    open.push(fd);
    return fd;
  }

  /** A file with a byte of its own in each of some blocks. */
  function filled(name: string, first: number, count: number): number {
    const fd = file(name);
    ftruncateSync(fd, sizeBytes);
    for (let block = first; block < first + count; block++)
      writeSync(fd, Buffer.alloc(BLOCK_BYTES, block + 1), 0, BLOCK_BYTES, block * BLOCK_BYTES);
    return fd;
  }

  /** A memory whose first half lies in a file. */
  async function scanned(): Promise<MappedMemory> {
    const source = { kind: 'memfd' as const, fd: filled('guest', 0, BLOCKS / 2) };
    const outputFd = file('parent');
    const { runs, checksums } = await addon().scanMemory({ source, sizeBytes, outputFd });
    return { files: [file('parent', 'r')], runs, checksums };
  }

  describe('refuse', () => {
    async function scanCode(change: object): Promise<unknown> {
      const request = {
        source: { kind: 'memfd', fd: filled('source', 0, 4) },
        sizeBytes,
        parent: await scanned(),
        outputFd: file('output'),
        ...change,
      };
      return await codeOf(async () => addon().scanMemory(request as ScanRequest));
    }

    it('nothing that is right', async () => {
      expect(await scanCode({})).to.equal(undefined);
      expect(await scanCode({ parent: undefined, removed: undefined })).to.equal(undefined);
    });

    it('a size that is none', async () => {
      for (const size of [
        0,
        -1,
        1,
        4095,
        sizeBytes + 1,
        2 ** 36 + BLOCK_BYTES,
        2 ** 53,
        Number.NaN,
      ])
        expect(await scanCode({ sizeBytes: size }), String(size)).to.equal('EINVAL');
      for (const size of ['4096', null, undefined, {}])
        expect(await scanCode({ sizeBytes: size }), String(size)).to.equal('EINVAL');
    });

    it('a size that is not that of the memory or of the parent', async () => {
      expect(await scanCode({ sizeBytes: 2 * sizeBytes })).to.equal('EINVAL');
      expect(await scanCode({ sizeBytes: 2 * sizeBytes, parent: undefined })).to.equal('EINVAL');
      expect(await scanCode({ sizeBytes: sizeBytes / 2 })).to.equal('EINVAL');
    });

    it('a source that is none', async () => {
      const sources = [
        ...[1, 'memfd', {}, { kind: 'file', fd: 1 }, { kind: 'memfd' }],
        ...[{ kind: 'memfd', fd: -1 }, { kind: 'memfd', fd: 1.5 }, { kind: 'private' }],
        ...[
          { kind: 'private', pid: 1, address: 4096 },
          { kind: 'private', pid: 1, address: -1n },
        ],
        ...[{ kind: 'private', pid: 1, address: 2n ** 64n }, { kind: 'k'.repeat(1000) }],
      ];
      for (const source of sources) expect(await scanCode({ source })).to.equal('EINVAL');
      expect(await scanCode({ source: undefined })).to.equal('TypeError');
      expect(await scanCode({ source: { kind: 'memfd', fd: 0x7fff_ffff } })).to.equal('EBADF');
      const gone = { kind: 'private', pid: 0x7fff_ffff, address: 4096n };
      expect(await scanCode({ source: gone })).to.equal('ESRCH');
    });

    it('a bit map that is too short', async () => {
      expect(await scanCode({ removed: new Uint8Array(1) })).to.equal('EINVAL');
      expect(await scanCode({ removed: new Uint32Array(16) })).to.equal('EINVAL');
      expect(await scanCode({ removed: new Uint8Array(2) })).to.equal(undefined);
    });

    it('an output that is not empty, or no plain file', async () => {
      expect(await scanCode({ outputFd: filled('full', 0, 1) })).to.equal('EEXIST');
      expect(await scanCode({ outputFd: openedNull() })).to.equal('EEXIST');
      expect(await scanCode({ outputFd: -1 })).to.equal('EINVAL');
      file('readonly');
      expect(await scanCode({ outputFd: file('readonly', 'r') })).to.equal('EINVAL');
    });

    function openedNull(): number {
      const fd = openSync('/dev/null', 'w');
      open.push(fd);
      return fd;
    }

    it('runs that do not describe a memory', async () => {
      const { files, checksums } = await scanned();
      const cases: [string, number[]][] = [
        ['none', []],
        ['a part of one', [0, 16, SOURCE_ZERO]],
        ['a gap at the start', [1, 15, SOURCE_ZERO, 0]],
        ['a gap', [0, 8, 0, 0, 9, 7, SOURCE_ZERO, 0]],
        ['an overlap', [0, 8, 0, 0, 7, 9, SOURCE_ZERO, 0]],
        ['an empty one', [0, 8, 0, 0, 8, 0, SOURCE_ZERO, 0, 8, 8, SOURCE_ZERO, 0]],
        ['a count that wraps', [0, 8, 0, 0, 8, 0xffff_ffff, SOURCE_ZERO, 0]],
        ['a place that wraps', [0, 8, 0, 0xffff_fffe, 8, 8, SOURCE_ZERO, 0]],
        ['no such file', [0, 8, 1, 0, 8, 8, SOURCE_ZERO, 0]],
        ['nothing to inherit from', [0, 8, 0, 0, 8, 8, SOURCE_INHERIT, 0]],
        ['too few checksums', [0, 9, 0, 0, 9, 7, SOURCE_ZERO, 0]],
      ];
      for (const [what, numbers] of cases) {
        const parent = { files, checksums, runs: Uint32Array.from(numbers) };
        expect(await scanCode({ parent }), what).to.equal('EINVAL');
        expect(await codeOf(async () => addon().verifyMemory(parent)), what).to.equal('EINVAL');
      }
    });

    it('to merge what is no memory', async () => {
      const { files, runs } = await scanned();
      const mergeCode = (change: object) =>
        codeOf(async () => {
          const request = { files, runs, outputFd: file('merged'), ...change };
          await addon().mergeMemory(request as MergeRequest);
        });
      expect(await mergeCode({})).to.equal(undefined);
      expect(await mergeCode({ files: [] })).to.equal('EINVAL');
      expect(await mergeCode({ files: 'parent' })).to.equal('EINVAL');
      expect(await mergeCode({ runs: runs.subarray(1) })).to.equal('EINVAL');
      expect(await mergeCode({ runs: [...runs] })).to.equal('EINVAL');
      expect(await mergeCode({ outputFd: filled('full', 0, 1) })).to.equal('EEXIST');
      const large = Uint32Array.of(0, 2 ** 24 + 1, SOURCE_ZERO, 0);
      expect(await mergeCode({ runs: large })).to.equal('EINVAL');
    });
  });

  describe('tell damage', () => {
    it('by the first block that fails its checksum', async () => {
      const memory = await scanned();
      expect(await addon().verifyMemory(memory)).to.equal(-1);
      for (const block of [7, 5, 0]) {
        writeSync(file('parent', 'r+'), Buffer.of(0xff), 0, 1, block * BLOCK_BYTES + 4095);
        expect(await addon().verifyMemory(memory)).to.equal(block);
      }
    });

    it('by the first block that a file which was cut off has not', async () => {
      const memory = await scanned();
      truncateSync(join(folder, 'parent'), 3 * BLOCK_BYTES + 1);
      expect(await addon().verifyMemory(memory)).to.equal(3);
      const unverified = { ...memory, checksums: new Uint32Array() };
      expect(await addon().verifyMemory(unverified)).to.equal(3);
    });

    it('of a parent or of a build that was cut off by EBADMSG', async () => {
      const parent = await scanned();
      truncateSync(join(folder, 'parent'), 3 * BLOCK_BYTES + 1);
      const source = { kind: 'memfd' as const, fd: filled('source', 0, 8) };
      const scan = () =>
        addon().scanMemory({ source, sizeBytes, parent, outputFd: file('output') });
      expect(await codeOf(async () => scan())).to.equal('EBADMSG');
      const merge = () => addon().mergeMemory({ ...parent, outputFd: file('merged') });
      expect(await codeOf(async () => merge())).to.equal('EBADMSG');
    });
  });

  it('write a block again that the parent has lost but the machine still has', async () => {
    const parent = await scanned();
    writeSync(file('parent', 'r+'), Buffer.of(0xff), 0, 1, 2 * BLOCK_BYTES);
    const source = { kind: 'memfd' as const, fd: filled('source', 0, 8) };
    const result = await addon().scanMemory({
      source,
      sizeBytes,
      parent,
      outputFd: file('output'),
    });
    expect(result.runs).to.deep.equal(
      Uint32Array.of(0, 2, SOURCE_INHERIT, 0, 2, 1, 0, 2, 3, 13, SOURCE_INHERIT, 0),
    );
  });

  it('do not trust that the same checksum is the same content', async () => {
    const parent = await scanned();
    const fd = filled('source', 0, 8);
    writeSync(fd, Buffer.alloc(BLOCK_BYTES, 0xee), 0, BLOCK_BYTES, BLOCK_BYTES);
    const checksums = Uint32Array.from(parent.checksums);
    checksums[1] = addon().crc32c(Buffer.alloc(BLOCK_BYTES, 0xee));
    const { writtenBlocks } = await addon().scanMemory({
      source: { kind: 'memfd', fd },
      sizeBytes,
      parent: { ...parent, checksums },
      outputFd: file('output'),
    });
    expect(writtenBlocks).to.equal(1);
  });

  it('leave no descriptor open, whether they succeed or not', async () => {
    const memory = await scanned();
    const source = { kind: 'memfd' as const, fd: filled('source', 0, 8) };
    const [full, outputFd] = [filled('full', 0, 1), file('output')];
    const before = readdirSync('/proc/self/fd').length;
    const calls: [() => Promise<unknown>, unknown][] = [
      [() => addon().scanMemory({ source, sizeBytes, parent: memory, outputFd }), undefined],
      [() => addon().scanMemory({ source, sizeBytes, parent: memory, outputFd: full }), 'EEXIST'],
      [() => addon().scanMemory({ source, sizeBytes: 1, parent: memory, outputFd }), 'EINVAL'],
      [() => addon().mergeMemory({ ...memory, outputFd: full }), 'EEXIST'],
      [() => addon().mergeMemory({ ...memory, outputFd: -1 }), 'EINVAL'],
      [() => addon().verifyMemory({ ...memory, checksums: Uint32Array.of(1) }), 'EINVAL'],
      [() => addon().verifyMemory(memory), undefined],
    ];
    for (const [call, code] of calls) expect(await codeOf(async () => call())).to.equal(code);
    expect(readdirSync('/proc/self/fd').length).to.equal(before);
  });

  it('go on with files that the caller has closed meanwhile', async () => {
    const fds = ['guest', 'output'].map((name, index) =>
      index === 0 ? filled(name, 0, 8) : file(name),
    );
    const [fd = -1, outputFd = -1] = fds;
    const scan = addon().scanMemory({ source: { kind: 'memfd', fd }, sizeBytes, outputFd });
    for (const each of fds) closeSync(each);
    open = [];
    expect((await scan).writtenBlocks).to.equal(8);
    const [guest, output] = ['guest', 'output'].map((name) => readFileSync(join(folder, name)));
    expect(output?.equals(guest ?? Buffer.alloc(0))).to.equal(true);
  });
});
