import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../lib/files/package-root.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { locateMemory, parseMappings } from './memory-location.js';

const BYTES = 64 * 1024;
const BUILD_TIMEOUT_MS = 60_000;

describe('the memory file of a VMM that was broken into', function () {
  this.timeout(BUILD_TIMEOUT_MS);
  let directory: TemporaryDirectory;
  let vmm: ChildProcessWithoutNullStreams;
  let secretPath: string;

  before(async () => {
    directory = await temporaryDirectory();
    secretPath = join(directory.path, 'secret');
    await writeFile(secretPath, Buffer.alloc(BYTES, 's'), { mode: 0o600 });
    const source = join(packageRoot(), 'native', 'preload', 'test', 'swap-memory.c');
    execFileSync('cc', ['-Wall', '-o', join(directory.path, 'swap-memory'), source]);
  });

  beforeEach(async () => {
    vmm = spawn(join(directory.path, 'swap-memory'), [String(BYTES), secretPath]);
    await once(vmm.stdout, 'data');
  });

  afterEach(() => void vmm.kill('SIGKILL'));

  after(() => directory?.remove());

  async function swap(): Promise<void> {
    vmm.stdin.write('\n');
    await once(vmm.stdout, 'data');
  }

  it('stays the one that was found when another file takes its place', async () => {
    const { memory, file } = await locateMemory(vmm.pid ?? 0);
    await swap();

    expect(memory.kind).to.equal('memfd');
    const content = memory.kind === 'memfd' ? await readFile(memory.path) : Buffer.of();
    expect(content.equals(Buffer.alloc(BYTES, 'm'))).to.equal(true);
    await file?.close();
  });

  it('is not taken to be the file in its place', async () => {
    await swap();

    const found = await locateMemory(vmm.pid ?? 0).catch((error: unknown) => error);
    expect(found).to.be.instanceOf(Error);
  });
});

describe('memory maps of a process', () => {
  it('are read with addresses as large as they are, and paths with blanks', () => {
    const text = [
      '7f7bdffff000-7f7beffff000 rw-p 00001000 fe:00 9978235                    /a/memory of x',
      'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
      '7f7bf0000000-7f7bf0021000 rw-p 00000000 00:00 0 ',
      'VmFlags: rd wr',
      '',
    ].join('\n');

    expect(parseMappings(text)).to.deep.equal([
      {
        start: 0x7f7bdffff000n,
        end: 0x7f7beffff000n,
        permissions: 'rw-p',
        offset: 0x1000n,
        file: 'fe:00 9978235',
        path: '/a/memory of x',
      },
      {
        start: 0xffffffffff600000n,
        end: 0xffffffffff601000n,
        permissions: '--xp',
        offset: 0n,
        file: '00:00 0',
        path: '[vsyscall]',
      },
      {
        start: 0x7f7bf0000000n,
        end: 0x7f7bf0021000n,
        permissions: 'rw-p',
        offset: 0n,
        file: '00:00 0',
        path: '',
      },
    ]);
  });
});
