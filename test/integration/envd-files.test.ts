/** Files that the real guest daemon reads and writes on this machine. */
import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findAccount } from '../../envd/accounts.js';
import type { WriteFileRequest } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { type EnvdProcess, startEnvd } from '../support/envd.js';
import { requireNeed } from '../support/requirements.js';

const SIZE_MAX = 3 * 1024 * 1024;
const NOT_FOUND = { code: Code.NOT_FOUND, reason: 'FILE_NOT_FOUND' } as const;
const NOT_USABLE = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' } as const;
const TOO_LARGE = { code: Code.FAILED_PRECONDITION, reason: 'FILE_TOO_LARGE' } as const;
const INVALID = { code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' } as const;

describe('envd reading and writing files', () => {
  let envd: EnvdProcess;
  let folder: string;
  let made = 0;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
  });

  after(async () => {
    await envd?.stop();
  });

  beforeEach(async () => {
    made += 1;
    folder = join(envd.directory, `files-${made}`);
    await mkdir(folder);
  });

  function write(path: string, fields: Partial<WriteFileRequest> = {}) {
    const request = { path, content: Buffer.from('new'), user: '', mode: 0, ...fields };
    return envd.files.writeFile(request, envd.options);
  }

  function read(path: string, sizeBytesMax = SIZE_MAX) {
    return envd.files.readFile({ path, sizeBytesMax }, envd.options);
  }

  it('writes a file and reads it back byte for byte', async () => {
    const content = Buffer.from(Array.from({ length: SIZE_MAX }, (_, index) => index % 251));

    const { sizeBytes } = await write(join(folder, 'file'), { content });

    expect(sizeBytes).to.equal(SIZE_MAX);
    expect((await read(join(folder, 'file'))).content.equals(content)).to.equal(true);
  });

  it('writes and reads an empty file', async () => {
    await write(join(folder, 'empty'), { content: Buffer.alloc(0) });

    expect((await read(join(folder, 'empty'))).content.length).to.equal(0);
  });

  it('makes missing folders, and gives them and the file to the user', async () => {
    const path = join(folder, 'a', 'b', 'c.txt');
    const nobody = await findAccount('nobody');

    await write(path, { user: 'nobody' });

    for (const each of [path, join(folder, 'a', 'b'), join(folder, 'a')]) {
      expect(await stat(each)).to.include({ uid: nobody?.uid, gid: nobody?.gid });
    }
    expect((await stat(path)).mode & 0o7777).to.equal(0o644);
    expect((await stat(folder)).uid).to.equal(0);
  });

  it('gives a new file the mode that is asked for, whatever the umask', async () => {
    await write(join(folder, 'tool'), { mode: 0o4777 });

    expect((await stat(join(folder, 'tool'))).mode & 0o7777).to.equal(0o4777);
  });

  it("keeps an existing file's mode and owner", async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'old');
    await chmod(path, 0o640);
    await chown(path, 4001, 4002);

    await write(path, { user: 'nobody' });

    const status = await stat(path);
    expect(status).to.include({ uid: 4001, gid: 4002 });
    expect(status.mode & 0o7777).to.equal(0o640);
    expect(await readFile(path, 'utf8')).to.equal('new');
  });

  it('changes the mode of an existing file when asked to', async () => {
    const path = join(folder, 'file');
    await writeFile(path, 'old', { mode: 0o600 });

    await write(path, { mode: 0o755 });

    expect((await stat(path)).mode & 0o7777).to.equal(0o755);
  });

  it('shows a reader the old content or the new, and leaves no other file behind', async () => {
    const path = join(folder, 'file');
    const contents = ['a', 'b'].map((letter) => Buffer.alloc(1024 * 1024, letter));
    await writeFile(path, contents[0] ?? '');
    let writing = true;
    const writes = (async () => {
      for (let round = 0; round < 20; round += 1) {
        await write(path, { content: contents[round % 2] ?? Buffer.alloc(0) });
      }
      writing = false;
    })();

    while (writing) {
      const seen = await readFile(path);
      expect(contents.some((content) => content.equals(seen))).to.equal(true);
    }
    await writes;

    expect(await readdir(folder)).to.deep.equal(['file']);
  });

  it('writes through links, also one whose target is missing', async () => {
    await writeFile(join(folder, 'target'), 'old');
    await symlink('target', join(folder, 'link'));
    await symlink('link', join(folder, 'link-to-link'));
    await symlink('missing/target', join(folder, 'dangling'));

    await write(join(folder, 'link-to-link'));
    await write(join(folder, 'dangling'));

    expect(await readFile(join(folder, 'target'), 'utf8')).to.equal('new');
    expect(await readFile(join(folder, 'missing', 'target'), 'utf8')).to.equal('new');
    for (const name of ['link', 'link-to-link', 'dangling']) {
      expect((await lstat(join(folder, name))).isSymbolicLink()).to.equal(true);
    }
  });

  it('writes a file whose name is as long as a name may be', async () => {
    const path = join(folder, 'n'.repeat(255));

    await write(path);

    expect(await readFile(path, 'utf8')).to.equal('new');
  });

  it('reads files of /proc, whose size nobody knows', async () => {
    expect((await read('/proc/self/status')).content.toString()).to.match(/^Name:\s+node/);
  });

  it('keeps to the size that the caller takes', async () => {
    const path = join(folder, 'file');
    await writeFile(path, Buffer.alloc(1000));

    expect((await read(path, 1000)).content.length).to.equal(1000);
    expect(await failureOf(read(path, 999))).to.include(TOO_LARGE);
    expect(await failureOf(read('/proc/self/status', 10))).to.include(TOO_LARGE);
  });

  it('says that the disk is full, and leaves no part of the file behind', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
    try {
      const error = await failureOf(
        write(join(folder, 'file'), { content: Buffer.alloc(1024 * 1024) }),
      );

      expect(error).to.include({ code: Code.RESOURCE_EXHAUSTED, reason: 'GUEST_DISK_FULL' });
      expect(await readdir(folder)).to.deep.equal([]);
    } finally {
      execFileSync('umount', [folder]);
    }
  });

  it('says that the filesystem is read-only', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
    try {
      expect(await failureOf(write(join(folder, 'file')))).to.include(NOT_USABLE);
    } finally {
      execFileSync('umount', [folder]);
    }
  });

  it('neither reads nor writes what is no regular file, and does not wait for it', async () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);

    for (const path of [fifo, '/dev/zero', '/dev/tty', folder, '/']) {
      expect(await failureOf(read(path))).to.include(NOT_USABLE);
      expect(await failureOf(write(path))).to.include(NOT_USABLE);
    }
  });

  describe('says what is wrong with the path', () => {
    const cases: [string, () => Promise<unknown>, { code: Code; reason: Reason }][] = [
      ['when a file to read is missing', () => read('/no/such/file'), NOT_FOUND],
      ['when a folder to write is named', () => write(`${folder}/new/`), NOT_USABLE],
      ['when a part of it is a file', () => write('/etc/passwd/x/y'), NOT_USABLE],
      ['when a part of it is a file, reading', () => read('/etc/passwd/x'), NOT_USABLE],
      ['when it is too long', () => write(join('/tmp', 'x'.repeat(256))), NOT_USABLE],
      ['when its links form a loop', loop, NOT_USABLE],
      ['when the owner is unknown', () => write(join(folder, 'f'), { user: 'no-one' }), NOT_USABLE],
      ['when /proc takes no new file', () => write('/proc/new-file'), NOT_USABLE],
      ['when it is relative', () => read('relative'), INVALID],
      ['when it holds a zero byte', () => write('/tmp/a\0b'), INVALID],
    ];
    for (const [when, call, expected] of cases) {
      it(when, async () => {
        expect(await failureOf(call())).to.include(expected);
      });
    }

    async function loop() {
      await symlink('loop', join(folder, 'loop'));
      return write(join(folder, 'loop'));
    }
  });
});

async function failureOf(call: Promise<unknown>): Promise<WrennError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof WrennError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}
