/** The memory provider with a process that acts as the VMM. */
import { copyFile, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createMemoryProvider } from '../../agent/memory/lazy-provider.js';
import type { MemoryFiles, MemoryRecord, ServeRequest } from '../../agent/memory/provider.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import {
  BLOCK_BYTES,
  randomContent,
  randomMemory,
  type TestMemory,
  wholeFile,
} from './page-server-memory.js';
import { makeAddon, TestVmm } from './page-server-vmm.js';

const BLOCKS = 300;

describe('the memory provider', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let memory: TestMemory;
  let request: ServeRequest;
  let records: MemoryRecord[];

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    memory = await randomMemory(directory.path, BLOCKS);
    request = { memory: memoryFiles(memory), runDirectory: directory.path, uid: 0 };
    records = [];
  });

  afterEach(async () => {
    await memory[Symbol.asyncDispose]();
    await directory.remove();
  });

  const keepRecord = async (record: MemoryRecord) => {
    records.push(record);
  };

  async function oneFile(): Promise<MemoryFiles> {
    const path = join(directory.path, 'whole');
    await using file = await open(path, 'w');
    const content = randomContent(BLOCKS);
    await file.writeFile(content);
    return { sizeBytes: content.length, paths: [path], ...wholeFile(content) };
  }

  it('lets a VMM map one file that is all of the memory', async () => {
    const files = await oneFile();
    const served = await createMemoryProvider().serve({ ...request, memory: files }, keepRecord);

    expect(served.backend).to.deep.equal({ kind: 'file', path: files.paths[0] });
    expect(records).to.deep.equal([{ kind: 'file', regions: [], removedPath: '' }]);
    await served.ready;
    expect(await served.removed()).to.equal(undefined);
    served.stopRecording();
    expect(served.workingSet()).to.equal(undefined);
    await served.close();
    expect(await served.failed).to.equal(undefined);
  });

  it('brings what the machine before has wanted, and tells it to the next', async () => {
    const provider = createMemoryProvider();
    await using vmm = await TestVmm.start('memfd', BLOCKS);
    const before = await provider.serve(request, keepRecord);
    await vmm.handshake(socketOf(before.backend));
    await before.ready;
    await vmm.touch(64);
    await eventually(() => expect(before.workingSet()).not.to.equal(undefined));
    const workingSet = before.workingSet();
    await before.close();
    expect(before.workingSet()).to.equal(undefined);

    await using next = await TestVmm.start('memfd', BLOCKS);
    const after = await provider.serve({ ...request, workingSet }, keepRecord);
    await next.handshake(socketOf(after.backend));
    await after.ready;
    await eventually(() => expect(after.statistics().replayedBlocks).to.be.greaterThan(0));
    await next.touch(64);
    expect(after.statistics().faults).to.equal(0);
    expect(after.workingSet()).to.deep.equal(workingSet);
    await next.touch(0);

    const first = () => after.workingSet()?.[0];
    await eventually(() => expect(first()).to.equal(0));
    expect(await next.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    await after.close();
  });

  it('keeps the record of the regions before it answers the first access', async () => {
    await using vmm = await TestVmm.start('memfd', BLOCKS);
    let keep: (() => void) | undefined;
    const kept = new Promise<void>((resolve) => {
      keep = resolve;
    });
    const served = await createMemoryProvider().serve(request, async (record) => {
      records.push(record);
      if (record.regions.length > 0) await kept;
    });
    expect(records.map(({ regions }) => regions.length)).to.deep.equal([0]);

    await vmm.handshake(socketOf(served.backend));
    await eventually(() => expect(records).to.have.length(2));
    await vmm.probe(0);
    expect(await vmm.probed()).to.equal('waiting');
    keep?.();
    await served.ready;

    expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    expect(records[1]).to.deep.equal(served.record);
    expect(JSON.parse(JSON.stringify(served.record))).to.deep.equal(served.record);
    expect(served.record.regions).to.have.length(1);
    expect(served.statistics()).to.have.property('faults').that.is.greaterThan(0);
    await served.close();
    expect(await served.failed).to.equal(undefined);
  });

  it('serves nothing when the record cannot be kept', async () => {
    await using vmm = await TestVmm.start('memfd', BLOCKS);
    const full = new Error('no space');
    const served = await createMemoryProvider().serve(request, async (record) => {
      if (record.regions.length > 0) throw full;
    });
    await vmm.handshake(socketOf(served.backend));

    expect(await served.ready.catch((thrown: unknown) => thrown)).to.equal(full);
    expect(await served.failed).to.have.property('kind', 'failed');
    await vmm.probe(0);
    expect(await vmm.probed()).to.equal('waiting');
    await served.close();
  });

  it('goes on with a machine of an agent before', async () => {
    await using vmm = await TestVmm.start('memfd', BLOCKS);
    const first = await createMemoryProvider().serve(request, keepRecord);
    await vmm.handshake(socketOf(first.backend));
    await first.ready;
    expect(await first.removed()).to.equal(undefined);
    await vmm.remove(8, 8);
    await first.close();

    const provider = createMemoryProvider();
    const adopted = await provider.adopt(request, first.record, vmm.pid);
    expect(adopted.record).to.deep.equal(first.record);
    await adopted.ready;

    const { wrong, zero } = await vmm.verify(memory.expectedPath);
    expect(wrong).to.equal(zero);
    expect(wrong).to.be.at.most(8);
    expect((await adopted.removed())?.subarray(0, 3)).to.deep.equal(Buffer.of(0, 255, 0));
    expect(adopted.record).to.deep.equal(first.record);
    await vmm.kill();
    expect(await adopted.failed).to.equal(undefined);
    await adopted.close();
    const error: unknown = await provider
      .adopt(request, first.record, vmm.pid)
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'ESRCH');
  });

  it('does not go on with a VMM that has never taken its memory', async () => {
    const served = await createMemoryProvider().serve(request, keepRecord);
    await served.close();

    const error: unknown = await createMemoryProvider()
      .adopt(request, served.record, process.pid)
      .catch((thrown: unknown) => thrown);

    expect(error).to.include({ name: 'MemoryUnavailable', kind: 'failed' });
  });

  it('names the damaged file', async () => {
    await using vmm = await TestVmm.start('memfd', BLOCKS);
    const path = join(directory.path, 'copy');
    await copyFile(memory.paths[0] ?? '', path);
    request = {
      ...request,
      memory: { ...request.memory, paths: [path, ...memory.paths.slice(1)] },
    };
    const served = await createMemoryProvider().serve(request, keepRecord);
    await vmm.handshake(socketOf(served.backend));
    await served.ready;

    await truncate(path, 0);
    await vmm.startVerify(memory.expectedPath);

    expect(await served.failed).to.include({ kind: 'damaged', artifact: path });
    await served.close();
  });

  it('refuses a file that is missing, and leaves nothing', async () => {
    await rm(memory.paths[1] ?? '');
    const descriptors = await readdir('/proc/self/fd');

    const error: unknown = await createMemoryProvider()
      .serve(request, keepRecord)
      .catch((thrown: unknown) => thrown);

    expect(error).to.include({ kind: 'damaged', artifact: memory.paths[1] });
    expect(await readdir('/proc/self/fd')).to.have.length(descriptors.length);
    expect(await readdir(directory.path)).not.to.include('memory.sock');
  });

  it('forgets what an earlier machine of the folder gave back, and removes its socket', async () => {
    const first = await createMemoryProvider().serve(request, keepRecord);
    await first.close();
    await using removed = await open(first.record.removedPath, 'r+');
    await removed.write(Buffer.of(1));

    const served = await createMemoryProvider().serve({ ...request, uid: 1234 }, keepRecord);

    expect(await served.removed()).to.equal(undefined);
    const socket = await stat(socketOf(served.backend));
    expect([socket.uid, socket.mode & 0o777]).to.deep.equal([1234, 0o600]);
    await served.close();
    expect(await readdir(directory.path)).not.to.include('memory.sock');
    expect(await served.ready.catch((thrown: unknown) => thrown)).to.have.property(
      'code',
      'ECANCELED',
    );
  });
});

function memoryFiles(memory: TestMemory): MemoryFiles {
  const { runs, checksums } = memory.mapped;
  return { sizeBytes: BLOCKS * BLOCK_BYTES, paths: memory.paths, runs, checksums };
}

function socketOf(backend: { kind: string; socketPath?: string }): string {
  return backend.socketPath ?? '';
}
