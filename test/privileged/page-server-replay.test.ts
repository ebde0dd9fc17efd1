/** What the page server records of real page faults, and how it replays it. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  addon,
  type MappedMemory,
  type NativePageServer,
  type PageServerOptions,
  SOURCE_ZERO,
  WORKING_SET_BLOCKS_MAX,
} from '../../native/addon/binding.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { BLOCK_BYTES, randomContent, randomMemory, wholeFile } from './page-server-memory.js';
import { type MemoryKind, makeAddon, TestVmm } from './page-server-vmm.js';

const KINDS: MemoryKind[] = ['memfd', 'anonymous'];
/** Blocks of the file that the largest memory shows again and again. */
const LARGE_PART_BLOCKS = 4096;
const LARGE_BLOCKS = WORKING_SET_BLOCKS_MAX;
const IOCTLS_PER_1000_BLOCKS_MAX = 4;
/** A replay that ends before the machine asks shows nothing. */
const RACES_MAX = 10;

interface Served {
  mapped: MappedMemory;
  sizeBytes: number;
}

describe('the working set of a page server', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let servers: NativePageServer[];

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    servers = [];
  });

  afterEach(async () => {
    for (const server of servers) await server.close();
    await directory.remove();
  });

  function start(
    { mapped, sizeBytes }: Served,
    options: Partial<PageServerOptions> = {},
  ): NativePageServer {
    const server = addon().startPageServer({
      socketPath: join(directory.path, 'memory.sock'),
      removedPath: join(directory.path, 'memory.removed'),
      uid: 0,
      pid: 0,
      memory: mapped,
      sizeBytes,
      runBlocksMax: 1,
      handshakeTimeoutMs: 10_000,
      ...options,
    });
    server.handshake.catch(() => undefined);
    servers.push(server);
    return server;
  }

  /** Serves the VMM; a server that it had before must be closed. */
  async function serve(
    memory: Served,
    vmm: TestVmm,
    options: Partial<PageServerOptions> = {},
  ): Promise<NativePageServer> {
    const server = start(memory, options);
    await vmm.handshake(join(directory.path, 'memory.sock'));
    await server.handshake;
    server.serve();
    return server;
  }

  /** A memory of the most blocks that are replayed, out of one small file. */
  async function largeMemory(): Promise<Served & AsyncDisposable> {
    const path = join(directory.path, 'part');
    const content = randomContent(LARGE_PART_BLOCKS);
    await writeFile(path, content);
    const file = await open(path);
    const part = wholeFile(content);
    const parts = Array.from({ length: LARGE_BLOCKS / LARGE_PART_BLOCKS }, (_, index) => index);
    const mapped = {
      files: [file.fd],
      runs: Uint32Array.from(
        parts.flatMap((index) => [index * LARGE_PART_BLOCKS, LARGE_PART_BLOCKS, 0, 0]),
      ),
      checksums: Uint32Array.from(parts.flatMap(() => [...part.checksums])),
    };
    return {
      ...{ mapped, sizeBytes: LARGE_BLOCKS * BLOCK_BYTES },
      [Symbol.asyncDispose]: () => file.close(),
    };
  }

  const replayed = (server: NativePageServer, blocks: number) =>
    eventually(() => expect(server.statistics().replayedBlocks).to.equal(blocks));

  /** The one thread of the VMM goes on before all is counted. */
  const answered = (server: NativePageServer) =>
    eventually(() => {
      const { faults, demandFaults } = server.statistics();
      expect(demandFaults).to.equal(faults);
    });

  for (const kind of KINDS) {
    describe(`for ${kind} memory`, () => {
      it('is what faults have brought, in their order', async () => {
        await using memory = await randomMemory(directory.path, 600);
        await using vmm = await TestVmm.start(kind, memory.blocks, { regions: 3 });
        const server = await serve(memory, vmm);

        for (const block of [300, 10, 11, 599, 12]) await vmm.touch(block);
        await vmm.touch(10);
        await answered(server);

        const recorded = [300, 1, 10, 2, 599, 1, 12, 1];
        expect([...server.workingSet()]).to.deep.equal(recorded);
        expect(server.statistics()).to.include({ faults: 5, demandFaults: 5, replayedBlocks: 0 });
      });

      it('brings what a machine before has wanted, so that the next asks for the rest alone', async () => {
        await using memory = await randomMemory(directory.path, 2000);
        const wants = async (vmm: TestVmm) => {
          await vmm.touch(900, 600, 3);
          await vmm.touch(20, 500, 2);
        };
        await using first = await TestVmm.start(kind, memory.blocks, { regions: 4 });
        const before = await serve(memory, first, { runBlocksMax: 16 });
        await wants(first);
        await answered(before);
        const workingSet = before.workingSet();
        await before.close();

        await using second = await TestVmm.start(kind, memory.blocks, { regions: 4 });
        const after = await serve(memory, second, { runBlocksMax: 16, workingSet });
        await replayed(after, blocksOf(workingSet));
        await wants(second);
        expect(before.statistics().demandFaults).to.be.greaterThan(50);
        expect(after.statistics()).to.include({ faults: 0, demandFaults: 0 });
        await second.touch(1900);
        await answered(after);

        expect(after.statistics().demandFaults).to.equal(1);
        expect(await second.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
      });

      it('is replayed around what is there already', async () => {
        await using memory = await randomMemory(directory.path, 400);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const before = await serve(memory, vmm);
        await vmm.touch(50, 100, 10);
        await before.close();

        const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, 400, 0, 400) });
        await replayed(server, 390);

        await eventually(() => expect(server.statistics().eexist).to.equal(10));
        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
        expect(server.statistics().faults).to.equal(0);
      });

      it('is replayed without what was given back', async () => {
        await using memory = await randomMemory(directory.path, 400);
        await using vmm = await TestVmm.start(kind, memory.blocks, { regions: 2 });
        const before = await serve(memory, vmm);
        await vmm.remove(30, 40);
        await vmm.remove(399, 1);
        await before.close();

        const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, 400) });
        await replayed(server, 359);
        memory.expected.fill(0, 30 * BLOCK_BYTES, 70 * BLOCK_BYTES);
        memory.expected.fill(0, 399 * BLOCK_BYTES);
        await writeFile(memory.expectedPath, memory.expected);

        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
        expect(server.statistics()).to.include({ replayedBlocks: 359, removedBlocks: 41 });
        expect([...server.workingSet()]).to.deep.equal([]);
      });

      it('never brings back what is given back while it is replayed', async () => {
        await using memory = await randomMemory(directory.path, 8000);
        await using vmm = await TestVmm.start(kind, memory.blocks);
        const server = start(memory, { runBlocksMax: 4, workingSet: Uint32Array.of(0, 8000) });
        await vmm.handshake(join(directory.path, 'memory.sock'));
        await server.handshake;

        server.serve();
        for (let first = 0; first < memory.blocks; first += 100) {
          await vmm.remove(first, 5);
          memory.expected.fill(0, first * BLOCK_BYTES, (first + 5) * BLOCK_BYTES);
        }
        await writeFile(memory.expectedPath, memory.expected);

        expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
        expect(server.statistics().replayedBlocks).to.be.greaterThan(0);
      });

      it('lets a fault go before what is left of it', async () => {
        await using memory = await largeMemory();
        for (let race = 0; race < RACES_MAX; race++) {
          await using vmm = await TestVmm.start(kind, LARGE_BLOCKS);
          const server = start(memory, { workingSet: Uint32Array.of(0, LARGE_BLOCKS) });
          await vmm.handshake(join(directory.path, 'memory.sock'));
          await server.handshake;
          const wanted = LARGE_BLOCKS - 1;
          await vmm.chase(0, wanted);
          server.serve();
          await eventually(async () => expect(await vmm.probed()).not.to.equal('waiting'));
          await eventually(() => expect(total(server)).to.equal(LARGE_BLOCKS));
          const { demandFaults, replayedBlocks } = server.statistics();
          const recorded = [...server.workingSet()];
          await server.close();
          if (demandFaults === 0) continue;

          // The replay had begun, and found the last block there.
          expect({ demandFaults, recorded }).to.eql({ demandFaults: 1, recorded: [wanted, 1] });
          expect(replayedBlocks).to.equal(LARGE_BLOCKS - 1);
          return;
        }
        expect.fail('no fault came while a replay went on');
      });
    });
  }

  it('is replayed in few calls when nothing else is to be done', async () => {
    await using memory = await largeMemory();
    await using vmm = await TestVmm.start('memfd', LARGE_BLOCKS);
    const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, LARGE_BLOCKS) });
    await replayed(server, LARGE_BLOCKS);

    const { ioctls, faults } = server.statistics();
    expect(faults).to.equal(0);
    expect((1000 * ioctls) / LARGE_BLOCKS).to.be.at.most(IOCTLS_PER_1000_BLOCKS_MAX);
  });

  it('is replayed in few calls though it was wanted in another order', async () => {
    await using memory = await largeMemory();
    await using vmm = await TestVmm.start('memfd', LARGE_BLOCKS);
    // Backwards, and some of it twice.
    const runs = Array.from({ length: 250 }, (_, index) => [16 * (250 - index), 16]);
    const workingSet = Uint32Array.from([...runs.flat(), 40, 30]);
    const server = await serve(memory, vmm, { workingSet });
    await replayed(server, 16 * 250);

    const { ioctls, eexist } = server.statistics();
    expect(eexist).to.equal(0);
    expect(ioctls).to.be.at.most(20);
  });

  it('leaves a damaged block to the fault that wants it', async () => {
    await using memory = await randomMemory(directory.path, 64, 1);
    memory.mapped.runs = Uint32Array.of(0, 64, 0, 0);
    const { checksums } = wholeFile(await contentOf(memory.paths[0] ?? ''));
    checksums[20] = (checksums[20] ?? 0) ^ 1;
    memory.mapped.checksums = checksums;
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, 10, 16, 8, 40, 8) });

    await vmm.touch(22);
    await answered(server);
    await replayed(server, 10);
    expect([...server.workingSet()]).to.deep.equal([22, 1]);
    await vmm.probe(20);

    expect(await server.ended).to.deep.equal({ kind: 'damaged', file: 0, block: 20 });
    expect(await vmm.probed()).to.equal('waiting');
  });

  it('ends with its server, whatever is left of it', async () => {
    await using memory = await largeMemory();
    await using vmm = await TestVmm.start('memfd', LARGE_BLOCKS);
    const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, LARGE_BLOCKS) });
    await server.close();

    expect(await server.ended).to.deep.equal({ kind: 'closed' });
    expect([...server.workingSet()]).to.deep.equal([]);
  });

  it('ends when the VMM is killed', async () => {
    await using memory = await largeMemory();
    await using vmm = await TestVmm.start('memfd', LARGE_BLOCKS);
    const server = await serve(memory, vmm, { workingSet: Uint32Array.of(0, LARGE_BLOCKS) });
    await vmm.kill();

    expect(await server.ended).to.deep.equal({ kind: 'vmm-gone' });
  });

  it('is not recorded after it was told to stop', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const server = await serve(memory, vmm);

    await vmm.touch(3);
    await answered(server);
    server.stopRecording();
    server.stopRecording();
    await vmm.touch(5);
    await answered(server);

    expect([...server.workingSet()]).to.deep.equal([3, 1]);
    expect(server.statistics().demandFaults).to.equal(2);
  });

  it('is recorded up to its most blocks', async () => {
    const blocks = WORKING_SET_BLOCKS_MAX + 1000;
    const runs = Uint32Array.of(0, blocks, SOURCE_ZERO, 0);
    const mapped = { files: [], runs, checksums: new Uint32Array() };
    await using vmm = await TestVmm.start('anonymous', blocks);
    const server = await serve({ mapped, sizeBytes: blocks * BLOCK_BYTES }, vmm, {
      runBlocksMax: 500,
    });

    await vmm.touch(0, blocks, 500);
    await answered(server);

    expect([...server.workingSet()]).to.deep.equal([0, WORKING_SET_BLOCKS_MAX]);
    expect(server.statistics().zeroBlocks).to.equal(blocks);
  });

  it('is not known of a machine that was adopted', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', memory.blocks);
    const before = await serve(memory, vmm);
    const { regions } = await before.handshake;
    await before.close();
    const adopted = addon().adoptPageServer({
      removedPath: join(directory.path, 'memory.removed'),
      uid: 0,
      pid: vmm.pid,
      memory: memory.mapped,
      sizeBytes: memory.sizeBytes,
      runBlocksMax: 1,
      regions,
    });
    servers.push(adopted);

    await vmm.touch(7);
    await answered(adopted);

    expect(adopted.statistics().demandFaults).to.equal(1);
    expect([...adopted.workingSet()]).to.deep.equal([]);
  });

  it('is refused when it is none of the memory', async () => {
    await using memory = await randomMemory(directory.path, 64);
    const wrong: unknown[] = [
      [0, 1],
      Uint8Array.of(0, 1),
      Uint32Array.of(1),
      Uint32Array.of(0, 1, 2),
      Uint32Array.of(0, 0),
      Uint32Array.of(64, 1),
      Uint32Array.of(63, 2),
      Uint32Array.of(0xffff_ffff, 1),
      Uint32Array.of(1, 0xffff_ffff),
      Uint32Array.from({ length: 2 * 1025 }, (_, index) => (index % 2) * 64),
    ];
    for (const workingSet of wrong) {
      expect(() => start(memory, { workingSet: workingSet as Uint32Array }), `${workingSet}`)
        .to.throw()
        .with.property('code', 'EINVAL');
    }
    await start(memory, { workingSet: new Uint32Array() }).close();
  });
});

function blocksOf(workingSet: Uint32Array): number {
  return workingSet.reduce((sum, number, index) => (index % 2 ? sum + number : sum), 0);
}

function total(server: NativePageServer): number {
  const { servedBlocks, zeroBlocks } = server.statistics();
  return servedBlocks + zeroBlocks;
}

async function contentOf(path: string): Promise<Buffer> {
  await using file = await open(path);
  return await file.readFile();
}
