/** The page server with real page faults of another process. */
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import {
  addon,
  type NativePageServer,
  type PageServerOptions,
} from '../../native/addon/binding.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { BLOCK_BYTES, randomMemory, type TestMemory } from './page-server-memory.js';
import { type MemoryKind, makeAddon, TestVmm } from './page-server-vmm.js';

const UNPRIVILEGED_UID = 65_534;
const KINDS: MemoryKind[] = ['memfd', 'anonymous'];

describe('a page server', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let socketPath: string;
  let removedPath: string;

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    socketPath = join(directory.path, 'memory.sock');
    removedPath = join(directory.path, 'memory.removed');
  });

  afterEach(() => directory.remove());

  function start(memory: TestMemory, options: Partial<PageServerOptions> = {}): NativePageServer {
    const server = addon().startPageServer({
      socketPath,
      removedPath,
      uid: 0,
      pid: 0,
      memory: memory.mapped,
      sizeBytes: memory.sizeBytes,
      runBlocksMax: 16,
      handshakeTimeoutMs: 10_000,
      ...options,
    });
    // A test that means it looks at it later.
    server.handshake.catch(() => undefined);
    return server;
  }

  /** Starts the server, and takes the handshake of the VMM. */
  async function serve(
    memory: TestMemory,
    vmm: TestVmm,
    options: Partial<PageServerOptions> = {},
  ): Promise<NativePageServer> {
    const server = start(memory, options);
    await vmm.handshake(socketPath);
    await server.handshake;
    server.serve();
    return server;
  }

  for (const kind of KINDS) {
    describe(`for ${kind} memory`, () => {
      for (const runBlocksMax of [1, 3, 16, 512]) {
        it(`brings what the files hold, ${runBlocksMax} blocks at a time`, async () => {
          await using memory = await randomMemory(directory.path, 1500);
          await using vmm = await TestVmm.start(kind, memory.blocks);
          const server = await serve(memory, vmm, { runBlocksMax });

          expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });

          await eventually(() => {
            const { faults, servedBlocks, zeroBlocks, removedBlocks } = server.statistics();
            expect(servedBlocks).to.equal(memory.mapped.checksums.length);
            expect(zeroBlocks).to.equal(memory.blocks - servedBlocks);
            expect(removedBlocks).to.equal(0);
            expect(faults).to.be.within(memory.blocks / runBlocksMax, 4 * memory.blocks);
          });
          await server.close();
        });
      }

      it('finds each block by its region', async () => {
        await using memory = await randomMemory(directory.path, 1003);
        await using vmm = await TestVmm.start(kind, memory.blocks, { regions: 7 });
        const server = await serve(memory, vmm);

        expect((await server.handshake).regions).to.have.length(7);
        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
        await server.close();
      });

      it('answers many threads at the same places', async () => {
        await using memory = await randomMemory(directory.path, 2000);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const server = await serve(memory, vmm);

        expect(await vmm.verify(memory.expectedPath, 90)).to.deep.equal({ wrong: 0, zero: 0 });
        await server.close();
      });

      it('shows zero where memory was given back, and never its content again', async () => {
        await using memory = await randomMemory(directory.path, 600);
        await using vmm = await TestVmm.start(kind, memory.blocks, { regions: 3 });
        const server = await serve(memory, vmm);
        const removed: [number, number][] = [
          [5, 1],
          [37, 30],
          [190, 20],
          [599, 1],
        ];

        for (const [first, count] of removed) await vmm.remove(first, count);
        clear(memory, removed);
        await writeFile(memory.expectedPath, memory.expected);
        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
        for (const [first, count] of removed) await vmm.remove(first, count);
        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });

        await eventually(() => expect(server.statistics().removedBlocks).to.equal(104));
        expect(await readFile(removedPath)).to.deep.equal(bitmap(memory.blocks, removed));
        await server.close();
      });

      it('goes on while memory is given back and read at the same time', async () => {
        await using memory = await randomMemory(directory.path, 4000);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const server = await serve(memory, vmm, { runBlocksMax: 4 });

        await vmm.startVerify(memory.expectedPath, 20);
        for (let first = 0; first < memory.blocks; first += 100) await vmm.remove(first, 3);
        const { wrong, zero } = await vmm.join();

        // What is wrong was given back before it was looked at.
        expect(wrong).to.equal(zero);
        expect(wrong).to.be.at.most(3 * 40);
        await server.close();
      });

      it('leaves an access to a damaged block without an answer', async () => {
        await using memory = await randomMemory(directory.path, 64, 1);
        const [file = 0, checksum = 0] = [0, memory.mapped.checksums[0]];
        memory.mapped.checksums[0] = checksum ^ 1;
        const [first, , , sourceFirst] = firstStoredRun(memory);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const server = await serve(memory, vmm);

        await vmm.probe(first);

        expect(await server.ended).to.deep.equal({ kind: 'damaged', file, block: sourceFirst });
        expect(await vmm.probed()).to.equal('waiting');
        await server.close();
        expect(await vmm.probed()).to.equal('waiting');
      });

      it('takes a file that has become short for damaged', async () => {
        await using memory = await randomMemory(directory.path, 64, 1);
        const [first, , , sourceFirst] = firstStoredRun(memory);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const server = await serve(memory, vmm, { runBlocksMax: 1 });

        await truncate(memory.paths[0] ?? '', sourceFirst * BLOCK_BYTES + 100);
        await vmm.probe(first);

        expect(await server.ended).to.deep.equal({ kind: 'damaged', file: 0, block: sourceFirst });
        expect(await vmm.probed()).to.equal('waiting');
        await server.close();
      });
    });
  }

  it('serves while the event loop is blocked', async () => {
    await using memory = await randomMemory(directory.path, 2000);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = start(memory, { runBlocksMax: 1 });
    await vmm.handshake(socketPath);
    await server.handshake;
    await vmm.startVerify(memory.expectedPath, 2);

    server.serve();
    const endsAt = performance.now() + 500;
    while (performance.now() < endsAt);

    expect(server.statistics().faults).to.be.greaterThan(10);
    expect(await vmm.join()).to.deep.equal({ wrong: 0, zero: 0 });
    await server.close();
  });

  it('answers nothing before it is told to', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = start(memory);
    await vmm.handshake(socketPath);
    await server.handshake;

    await vmm.probe(0);
    expect(await vmm.probed()).to.equal('waiting');
    expect(server.statistics().faults).to.equal(0);
    server.serve();

    await eventually(async () => expect(await vmm.probed()).to.equal(memory.expected[0]));
    await server.close();
  });

  it('takes a handshake that comes in parts', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = start(memory);
    await vmm.handshake(socketPath, 'cut');
    server.serve();

    expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    await server.close();
  });

  it('admits the user of the VMM alone, and removes its socket', async () => {
    await using memory = await randomMemory(directory.path, 64);
    const server = start(memory, { uid: UNPRIVILEGED_UID });
    const { mode, uid, gid } = await stat(socketPath);

    expect([mode & 0o777, uid, gid]).to.deep.equal([0o600, UNPRIVILEGED_UID, UNPRIVILEGED_UID]);
    await server.close();
    expect(await readdir(directory.path)).not.to.include('memory.sock');
  });

  it('ends when the VMM is killed', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = await serve(memory, vmm);

    await vmm.kill();

    expect(await server.ended).to.deep.equal({ kind: 'vmm-gone' });
    await server.close();
  });

  it('goes on without the connection while the VMM lives', async () => {
    await using memory = await randomMemory(directory.path, 640);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = await serve(memory, vmm);

    await vmm.leave();
    expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    await vmm.kill();

    expect(await server.ended).to.deep.equal({ kind: 'vmm-gone' });
    await server.close();
  });

  it('leaves the machine waiting when it is closed', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = await serve(memory, vmm);

    const closes = [server.close(), server.close()];
    await Promise.all(closes);
    await server.close();
    expect(await server.ended).to.deep.equal({ kind: 'closed' });
    await vmm.probe(0);

    expect(await vmm.probed()).to.equal('waiting');
  });

  it('a page server leaves no descriptor or thread behind', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    await serve(memory, vmm).then((server) => server.close());
    const before = [await held('fd'), await held('task')];

    for (let round = 0; round < 25; round++) {
      const server = await serve(memory, vmm);
      await server.close();
      const unused = start(memory);
      await unused.close();
      await unused.handshake.then(
        () => expect.fail('it had no handshake'),
        (error: unknown) => expect(error).to.have.property('code', 'ECANCELED'),
      );
    }

    await eventually(async () => expect([await held('fd'), await held('task')]).to.eql(before));
    expect(await readdir(directory.path)).not.to.include('memory.sock');
  });

  it('does not keep its process alive, and ends with it', async () => {
    const path = join(packageRoot(), 'native', 'addon', 'build', 'wrenn.node');
    const options = `{ socketPath: ${JSON.stringify(socketPath)},
      removedPath: ${JSON.stringify(removedPath)}, uid: 0, pid: 0, sizeBytes: 4096,
      memory: { files: [], runs: Uint32Array.of(0, 1, 0xffffffff, 0), checksums: new Uint32Array() },
      runBlocksMax: 1, handshakeTimeoutMs: 600000 }`;
    const script = `require(${JSON.stringify(path)}).startPageServer(${options}); console.log('up')`;

    const { stdout } = await run(process.execPath, ['-e', script]);

    expect(stdout).to.equal('up\n');
    expect(await readdir(directory.path)).to.deep.equal(['memory.removed']);
  });

  it('says by code why it cannot start, and then holds nothing', async () => {
    await using memory = await randomMemory(directory.path, 64);
    const before = await held('fd');
    const nowhere = join(directory.path, 'missing', 'file');
    const wrong: [Partial<PageServerOptions>, string][] = [
      [{ socketPath: nowhere }, 'ENOENT'],
      [{ removedPath: nowhere }, 'ENOENT'],
      [{ removedPath: directory.path }, 'EISDIR'],
      [{ socketPath: `/${'x'.repeat(120)}` }, 'EINVAL'],
      [{ sizeBytes: memory.sizeBytes + BLOCK_BYTES }, 'EINVAL'],
      [{ runBlocksMax: 0 }, 'EINVAL'],
      [{ runBlocksMax: 513 }, 'EINVAL'],
      [{ memory: { ...memory.mapped, files: [] } }, 'EINVAL'],
      [{ memory: { ...memory.mapped, files: [99_999] } }, 'EBADF'],
      [{ memory: { ...memory.mapped, checksums: Uint32Array.of(1) } }, 'EINVAL'],
      [{ memory: { ...memory.mapped, runs: Uint32Array.of(1, 63, 0, 0) } }, 'EINVAL'],
    ];

    for (const [options, code] of wrong) {
      expect(() => start(memory, options), JSON.stringify(options))
        .to.throw()
        .with.property('code', code);
    }
    expect(await held('fd')).to.equal(before);
  });
});

/** How many descriptors or threads this process has. */
async function held(what: 'fd' | 'task'): Promise<number> {
  return (await readdir(`/proc/self/${what}`)).length;
}

function clear(memory: TestMemory, removed: [number, number][]): void {
  for (const [first, count] of removed) {
    memory.expected.fill(0, first * BLOCK_BYTES, (first + count) * BLOCK_BYTES);
  }
}

function bitmap(blocks: number, removed: [number, number][]): Buffer {
  const bits = Buffer.alloc(Math.ceil(blocks / 8));
  for (const [first, count] of removed) {
    for (let block = first; block < first + count; block++) {
      bits[block >> 3] = (bits[block >> 3] ?? 0) | (1 << (block & 7));
    }
  }
  return bits;
}

/** The first run that lies in a file. */
function firstStoredRun({ mapped: { runs } }: TestMemory): [number, number, number, number] {
  for (let at = 0; at < runs.length; at += 4) {
    const [first = 0, count = 0, source = 0, sourceFirst = 0] = runs.subarray(at, at + 4);
    if (source === 0) return [first, count, source, sourceFirst];
  }
  throw new Error('no run lies in a file');
}
