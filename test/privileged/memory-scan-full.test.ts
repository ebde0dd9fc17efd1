/** Scan and merge of memory on a disk that runs full. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BLOCK_BYTES } from '../../agent/snapshot/memory-header.js';
import { addon, SOURCE_ZERO } from '../../native/addon/binding.js';
import { requireNeed } from '../support/requirements.js';

const BLOCKS = 1024;
/** Of the small disk; a quarter of the memory. */
const DISK_BYTES = (BLOCKS / 4) * BLOCK_BYTES;
const COMMAND_TIMEOUT_MS = 10_000;

describe('a scan of memory onto a full disk', () => {
  let folder: string;
  let disk: string;
  let source: number;
  let output: number;

  before(function () {
    requireNeed(this, 'root');
    folder = mkdtempSync(join(tmpdir(), 'wrenn-full-'));
    disk = join(folder, 'disk');
    mkdirSync(disk);
    const options = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'wrenn-test', disk];
    execFileSync('mount', options, { timeout: COMMAND_TIMEOUT_MS });
    source = openSync(join(folder, 'guest'), 'w+');
    ftruncateSync(source, BLOCKS * BLOCK_BYTES);
    for (let block = 0; block < BLOCKS; block += 2)
      writeSync(source, Buffer.alloc(BLOCK_BYTES, 1), 0, BLOCK_BYTES, block * BLOCK_BYTES);
  });

  beforeEach(() => {
    output = openSync(join(disk, 'output'), 'w');
  });

  afterEach(() => {
    closeSync(output);
    rmSync(join(disk, 'output'));
  });

  after(() => {
    if (disk === undefined) return;
    if (source !== undefined) closeSync(source);
    execFileSync('umount', [disk], { timeout: COMMAND_TIMEOUT_MS });
    rmSync(folder, { recursive: true, force: true });
  });

  /** The code that a call rejects with. */
  async function codeOf(call: Promise<unknown>): Promise<unknown> {
    return call.then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
  }

  it('fails with ENOSPC', async () => {
    const scan = addon().scanMemory({
      source: { kind: 'memfd', fd: source },
      sizeBytes: BLOCKS * BLOCK_BYTES,
      outputFd: output,
    });
    expect(await codeOf(scan)).to.equal('ENOSPC');
  });

  it('fails with ENOSPC when it is merged, whole or block by block', async () => {
    const whole = Uint32Array.of(0, BLOCKS, 0, 0);
    const every = Uint32Array.from({ length: BLOCKS * 4 }, (_, index) => {
      const block = index >> 2;
      return [block, 1, block % 2 ? SOURCE_ZERO : 0, block % 2 ? 0 : block][index % 4] ?? 0;
    });
    for (const runs of [whole, every]) {
      const merge = addon().mergeMemory({ files: [source], runs, outputFd: output });
      expect(await codeOf(merge)).to.equal('ENOSPC');
      ftruncateSync(output, 0);
    }
  });

  it('succeeds once there is room', async () => {
    const quarter = Uint32Array.of(0, BLOCKS / 8, 0, 0, BLOCKS / 8, BLOCKS / 8, SOURCE_ZERO, 0);
    const merged = await addon().mergeMemory({ files: [source], runs: quarter, outputFd: output });
    expect(merged.writtenBlocks).to.equal(BLOCKS / 8);
  });
});
