/** Files of any size that stream into and out of the real guest daemon. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findAccount } from '../../envd/accounts.js';
import { StreamWriteFileRequest } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code } from '../../lib/errors/index.js';
import { type EnvdProcess, residentBytes, startEnvd } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { rejectionOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';
import { SmallFilesystem } from '../support/small-filesystem.js';

const MIB = 1024 * 1024;
const PIECE_BYTES_MAX = 64 * 1024;
const LARGE_BYTES = 200 * MIB;
/** What the daemon may take more while a large file passes through it. */
const GROWTH_BYTES_MAX = 80 * MIB;
const LARGE_TIMEOUT_MS = 120_000;

type Fields = Partial<StreamWriteFileRequest>;

describe('envd streaming files', function () {
  this.timeout(LARGE_TIMEOUT_MS);
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
    folder = join(envd.directory, `streams-${made}`);
    await mkdir(folder);
  });

  const at = (path: string) => join(folder, path);
  const options = () => ({ ...envd.options, timeoutMs: LARGE_TIMEOUT_MS });

  function write(requests: AsyncIterable<Fields> | Iterable<Fields>, signal?: AbortSignal) {
    const messages = (async function* () {
      for await (const fields of requests) yield StreamWriteFileRequest.fromPartial(fields);
    })();
    return envd.files.streamWriteFile(messages, { ...options(), ...(signal && { signal }) });
  }

  function read(path: string, signal?: AbortSignal) {
    return envd.files.streamReadFile({ path }, { ...options(), ...(signal && { signal }) });
  }

  async function collect(path: string): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    for await (const { content } of read(path)) pieces.push(content);
    return pieces;
  }

  it('writes a file of many messages and reads it back in small pieces', async () => {
    const content = randomBytes(3 * MIB + 17);
    const messages: Fields[] = [{ path: at('a/file'), content: content.subarray(0, 5) }];
    for (let offset = 5; offset < content.length; offset += MIB) {
      messages.push({ content: content.subarray(offset, offset + MIB) });
    }

    expect(await write(messages)).to.deep.equal({ sizeBytes: content.length });

    const pieces = await collect(at('a/file'));
    expect(Math.max(...pieces.map(({ length }) => length))).to.be.at.most(PIECE_BYTES_MAX);
    expect(Buffer.concat(pieces).equals(content)).to.equal(true);
    expect(await readdir(at('a'))).to.deep.equal(['file']);
  });

  it('writes and reads an empty file', async () => {
    await write([{ path: at('empty') }]);

    expect((await stat(at('empty'))).size).to.equal(0);
    expect(await collect(at('empty'))).to.deep.equal([]);
  });

  it('gives file and folders to the user, and keeps those of a file that is there', async () => {
    const nobody = await findAccount('nobody');
    await writeFile(at('old'), 'old');
    await chmod(at('old'), 0o604);
    await symlink('old', at('link'));

    await write([
      { path: at('new/file'), user: 'nobody', mode: 0o4711 },
      { content: Buffer.of(1) },
    ]);
    await write([{ path: at('link'), user: 'nobody' }, { content: Buffer.from('new') }]);

    expect(await stat(at('new'))).to.include({ uid: nobody?.uid, gid: nobody?.gid });
    expect(await stat(at('new/file'))).to.include({ uid: nobody?.uid, gid: nobody?.gid });
    expect((await stat(at('new/file'))).mode & 0o7777).to.equal(0o4711);
    expect(await readFile(at('old'), 'utf8')).to.equal('new');
    expect(await stat(at('old'))).to.include({ uid: 0 });
    expect((await stat(at('old'))).mode & 0o7777).to.equal(0o604);
  });

  it('leaves nothing of a stream that is called off', async () => {
    await writeFile(at('file'), 'old');
    const cancel = new AbortController();
    async function* endless() {
      yield { path: at('file'), content: Buffer.alloc(MIB) };
      for (;;) yield { content: await eventually(temporaryExists) };
    }
    async function temporaryExists() {
      const names = await readdir(folder);
      if (names.length < 2) throw new Error('nothing is written yet');
      cancel.abort(new Error('called off'));
      return Buffer.alloc(1000);
    }

    expect(await rejectionOf(write(endless(), cancel.signal))).to.be.instanceOf(Error);

    await eventually(async () => expect(await readdir(folder)).to.deep.equal(['file']));
    expect(await readFile(at('file'), 'utf8')).to.equal('old');
    const links = join(envd.directory, 'run', 'temporary-files');
    await eventually(async () => expect(await readdir(links)).to.deep.equal([]));
  });

  it('leaves nothing of a stream whose later messages hold more than content', async () => {
    const error = await rejectionOf(write([{ path: at('file') }, { path: at('other') }]));

    expect(error).to.include({ code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' });
    expect(await readdir(folder)).to.deep.equal([]);
  });

  it('refuses a stream without messages', async () => {
    const error = await rejectionOf(write([]));

    expect(error).to.include({ code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' });
  });

  it('removes what a daemon that was killed has left behind, and nothing else', async () => {
    await writeFile(at('mine.tmp'), '');
    let goOn = () => undefined as unknown;
    const wait = new Promise((resolve) => {
      goOn = () => resolve(undefined);
    });
    async function* stuck() {
      yield { path: at('file'), content: Buffer.alloc(MIB) };
      await wait;
    }
    const writing = rejectionOf(write(stuck()));
    await eventually(async () => expect(await readdir(folder)).to.have.length(2));

    await envd.restart();
    goOn();
    await writing;

    await eventually(async () => expect(await readdir(folder)).to.deep.equal(['mine.tmp']));
  });

  it('says that the disk is full, and leaves no part of the file behind', async function () {
    requireNeed(this, 'loop');
    await using disk = await SmallFilesystem.mount(at('small'), 8);
    await rm(join(disk.path, 'lost+found'), { recursive: true });
    async function* endless() {
      yield { path: join(disk.path, 'new/file'), content: Buffer.alloc(0) };
      for (;;) yield { content: Buffer.alloc(MIB, 1) };
    }

    const error = await rejectionOf(write(endless()));

    expect(error).to.include({ code: Code.RESOURCE_EXHAUSTED, reason: 'GUEST_DISK_FULL' });
    expect(await readdir(join(disk.path, 'new'))).to.deep.equal([]);
  });

  it('holds a small part of a large file, both ways', async () => {
    const piece = randomBytes(MIB);
    const hash = createHash('sha256');
    async function* large() {
      yield { path: at('large') };
      for (let sent = 0; sent < LARGE_BYTES; sent += MIB) {
        hash.update(piece);
        yield { content: piece };
      }
    }
    const before = await residentBytes(envd.pid);
    const peak = watchResident(envd.pid);

    await write(large());
    const received = createHash('sha256');
    for await (const { content } of read(at('large'))) received.update(content);

    expect(received.digest('hex')).to.equal(hash.digest('hex'));
    expect((await peak()) - before).to.be.below(GROWTH_BYTES_MAX);
  });

  it('waits for a reader who is slow', async () => {
    await writeFile(at('large'), '');
    await truncate(at('large'), LARGE_BYTES);
    const before = await residentBytes(envd.pid);
    const peak = watchResident(envd.pid);
    const reading = read(at('large'))[Symbol.asyncIterator]();

    await reading.next();
    // Round trips on the same connection, after which the daemon has sent what it would.
    for (let calls = 0; calls < 100; calls += 1) await envd.files.stat({ path: '/' }, options());

    expect((await peak()) - before).to.be.below(GROWTH_BYTES_MAX);
    await reading.return?.();
  });

  it('reads a file of /proc, and ends where a file ends that changes meanwhile', async () => {
    expect(Buffer.concat(await collect('/proc/self/status')).toString()).to.match(/^Name:\s+node/);
    await writeFile(at('shrinks'), Buffer.alloc(64 * MIB));
    await using file = await open(at('shrinks'), 'r+');

    let bytes = 0;
    for await (const { content } of read(at('shrinks'))) {
      if (bytes === 0) await file.truncate(MIB);
      bytes += content.length;
    }

    expect(bytes).to.be.within(MIB, 64 * MIB - 1);
  });

  it('closes the file of a reader who goes away', async () => {
    await writeFile(at('large'), '');
    await truncate(at('large'), LARGE_BYTES);

    for await (const _ of read(at('large'))) break;

    await eventually(() => expect(openFiles(envd.pid)).not.to.include(at('large')));
  });

  it('reads nothing but regular files, and does not wait for others', async () => {
    execFileSync('mkfifo', [at('fifo')]);
    for (const path of [at('fifo'), '/dev/zero', folder]) {
      const expected = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' };
      expect(await rejectionOf(collect(path))).to.include(expected);
      expect(await rejectionOf(write([{ path }]))).to.include(expected);
    }
    expect(await rejectionOf(collect(at('none')))).to.include({ reason: 'FILE_NOT_FOUND' });
    expect(await rejectionOf(collect('relative'))).to.include({ reason: 'INVALID_REQUEST' });
  });
});

/** Follows the memory of a process. @returns a function that ends it and tells the most it had. */
function watchResident(pid: number): () => Promise<number> {
  let peak = 0;
  const look = async () => {
    peak = Math.max(peak, await residentBytes(pid));
  };
  const timer = setInterval(() => void look(), 20);
  return async () => {
    clearInterval(timer);
    await look();
    return peak;
  };
}

function openFiles(pid: number): string {
  return execFileSync('sh', ['-c', `ls -l /proc/${pid}/fd`], { encoding: 'utf8' });
}
