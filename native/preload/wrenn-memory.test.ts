import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { requireNeed } from '../../test/support/requirements.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';

const BUILD_TIMEOUT_MS = 60_000;
const BYTES = 64 * 1024;
const MEMORY_NAME = 'memory-backend-memfd';
/** The descriptor that a mapping program inherits. */
const INHERITED_FD = 3;

const folder = join(packageRoot(), 'native', 'preload');

describe('library for the memory of restored machines', function () {
  this.timeout(BUILD_TIMEOUT_MS);
  let directory: TemporaryDirectory;
  let program: string;
  let memoryPath: string;

  before(async () => {
    directory = await temporaryDirectory();
    program = join(directory.path, 'map-memory');
    memoryPath = join(directory.path, 'memory');
    await writeFile(memoryPath, Buffer.alloc(BYTES, 'f'));
    execFileSync('make', ['-s', '-C', folder]);
    execFileSync('cc', ['-Wall', '-o', program, join(folder, 'test', 'map-memory.c')]);
  });

  after(() => directory?.remove());

  /** Runs the program with the library; `first` is what it finds in its memory. */
  function map(environment: Record<string, string>, name = MEMORY_NAME, count = 1) {
    const fd = openSync(memoryPath, 'r');
    try {
      const { status, stdout, stderr } = spawnSync(program, [name, String(BYTES), String(count)], {
        env: { LD_PRELOAD: join(folder, 'build', 'wrenn-memory.so'), ...environment },
        stdio: ['ignore', 'pipe', 'pipe', fd],
        encoding: 'utf8',
      });
      const [first, ...rest] = stdout.split(' ');
      return { status, first, environment: rest, said: stderr.startsWith('wrenn-memory: ') };
    } finally {
      closeSync(fd);
    }
  }

  function fileMode(bytes = BYTES): Record<string, string> {
    return {
      WRENN_MEMORY_MODE: 'file',
      WRENN_MEMORY_BYTES: String(bytes),
      WRENN_MEMORY_FD: String(INHERITED_FD),
    };
  }

  it('puts the memory file in the place of the guest’s memory, and never writes it', async () => {
    expect(map(fileMode())).to.include({ status: 0, first: 'f' });
    expect((await readFile(memoryPath)).equals(Buffer.alloc(BYTES, 'f'))).to.equal(true);
  });

  it('leaves nothing in the environment for others', () => {
    expect(map(fileMode()).environment).to.deep.equal([]);
  });

  it('leaves every other mapping as it is', () => {
    for (const name of ['other', `${MEMORY_NAME}2`, `a${MEMORY_NAME}`]) {
      expect(map(fileMode(), name)).to.include({ status: 0, first: 'm' });
    }
  });

  it('ends a process whose settings are missing or wrong', () => {
    const wrong = [
      {},
      { WRENN_MEMORY_MODE: 'zeros' },
      { WRENN_MEMORY_BYTES: '-1' },
      { WRENN_MEMORY_BYTES: '12x' },
      { WRENN_MEMORY_BYTES: '99999999999999999999' },
      { WRENN_MEMORY_FD: '' },
    ];
    for (const fields of wrong) {
      const settings = Object.keys(fields).length > 0 ? { ...fileMode(), ...fields } : {};
      expect(map(settings)).to.include({ status: 90, said: true });
    }
  });

  it('ends a process that maps its memory twice', () => {
    expect(map(fileMode(), MEMORY_NAME, 2)).to.include({ status: 91, said: true });
  });

  it('ends a process that maps another size than announced', () => {
    expect(map(fileMode(2 * BYTES))).to.include({ status: 92, said: true });
  });

  it('ends a process whose memory file cannot be mapped', () => {
    const settings = { ...fileMode(), WRENN_MEMORY_FD: '1' };

    expect(map(settings)).to.include({ status: 93, said: true });
  });

  it('ends a process that gets no userfaultfd', () => {
    const settings = { ...fileMode(), WRENN_MEMORY_MODE: 'pages', WRENN_MEMORY_SOCKET: '/none' };

    // The inherited file is the memory's, which gives none.
    expect(map(settings)).to.include({ status: 94, said: true });
  });

  it('ends a process whose page server does not answer', function () {
    requireNeed(this, 'root');
    const settings = {
      WRENN_MEMORY_MODE: 'pages',
      WRENN_MEMORY_BYTES: String(BYTES),
      WRENN_MEMORY_SOCKET: join(directory.path, 'none.sock'),
    };

    expect(map(settings)).to.include({ status: 95, said: true });
  });
});
