/** A page server that is killed while faults are in flight, and the one that goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { addon, type MemoryRegion, type NativePageServer } from '../../native/addon/binding.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { BLOCK_BYTES, randomMemory, type TestMemory } from './page-server-memory.js';
import type { ProcessOptions } from './page-server-process.js';
import { type MemoryKind, makeAddon, TestVmm } from './page-server-vmm.js';

const BLOCKS = 6000;
const KINDS: MemoryKind[] = ['memfd', 'anonymous'];

/** A page server in a process that can be killed. */
interface ServerProcess extends AsyncDisposable {
  regions: MemoryRegion[];
  kill(): Promise<void>;
}

describe('a page server that is killed', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let removedPath: string;

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    removedPath = join(directory.path, 'memory.removed');
  });

  afterEach(() => directory.remove());

  /** Starts the process and takes the handshake of the VMM. */
  async function serveInProcess(memory: TestMemory, vmm: TestVmm): Promise<ServerProcess> {
    const socketPath = join(directory.path, 'memory.sock');
    const { runs, checksums } = memory.mapped;
    const options: ProcessOptions = {
      paths: memory.paths,
      runs: [...runs],
      checksums: [...checksums],
      socketPath,
      removedPath,
      sizeBytes: memory.sizeBytes,
    };
    const script = join(packageRoot(), 'test', 'privileged', 'page-server-process.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).to.equal('listening');
    await vmm.handshake(socketPath);
    const { value: line } = await lines.next();
    if (line === undefined) throw new Error('the page server process has ended');
    const regions = parseRegions(line);
    const kill = () => killed(child);
    return { regions, kill, [Symbol.asyncDispose]: kill };
  }

  function adopt(memory: TestMemory, pid: number, regions: MemoryRegion[]): NativePageServer {
    return addon().adoptPageServer({
      removedPath,
      uid: 0,
      pid,
      memory: memory.mapped,
      sizeBytes: memory.sizeBytes,
      runBlocksMax: 1,
      regions,
    });
  }

  for (const kind of KINDS) {
    it(`leaves ${kind} memory right: what waits is answered by the next one`, async () => {
      await using memory = await randomMemory(directory.path, BLOCKS);
      await using vmm = await TestVmm.start(kind, BLOCKS, { regions: 2 });
      await using first = await serveInProcess(memory, vmm);

      await vmm.probe(0);
      await eventually(async () => expect(await vmm.probed()).to.equal(memory.expected[0]));
      await vmm.startVerify(memory.expectedPath, 24);
      await first.kill();
      const server = adopt(memory, vmm.pid, first.regions);

      expect(await vmm.join()).to.deep.equal({ wrong: 0, zero: 0 });
      const { faults, servedBlocks, zeroBlocks } = server.statistics();
      expect(faults).to.be.greaterThan(0);
      expect(servedBlocks + zeroBlocks).to.be.below(BLOCKS);
      expect(await server.handshake).to.deep.equal({ pid: vmm.pid, regions: first.regions });
      await vmm.kill();
      expect(await server.ended).to.deep.equal({ kind: 'vmm-gone' });
      await server.close();
    });
  }

  it('makes accesses wait until there is another', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', 64);
    await using first = await serveInProcess(memory, vmm);
    await first.kill();

    await vmm.probe(3);
    expect(await vmm.probed()).to.equal('waiting');
    const server = adopt(memory, vmm.pid, first.regions);

    const wanted = memory.expected[3 * BLOCK_BYTES];
    await eventually(async () => expect(await vmm.probed()).to.equal(wanted));
    await server.close();
  });

  it('has its successor answer what it had read', async () => {
    await using memory = await randomMemory(directory.path, 64, 1);
    await using vmm = await TestVmm.start('memfd', 64);
    const { checksums } = memory.mapped;
    const right = checksums.slice();
    // It reads the fault, finds the block damaged, and does not answer.
    checksums.fill(1);
    await using first = await serveInProcess(memory, vmm);
    checksums.set(right);
    const stored = memory.expected.findIndex((byte) => byte !== 0) / BLOCK_BYTES;
    await vmm.probe(Math.floor(stored));
    await eventually(async () => expect(await pendingFaults(vmm.pid)).to.deep.equal([0, 1]));
    await first.kill();

    const server = adopt(memory, vmm.pid, first.regions);

    await eventually(async () => expect(await vmm.probed()).not.to.equal('waiting'));
    await server.close();
  });

  it('has left behind which blocks were given back', async () => {
    await using memory = await randomMemory(directory.path, 640);
    await using vmm = await TestVmm.start('memfd', 640);
    await using first = await serveInProcess(memory, vmm);
    await vmm.remove(100, 33);
    await first.kill();

    const server = adopt(memory, vmm.pid, first.regions);

    memory.expected.fill(0, 100 * BLOCK_BYTES, 133 * BLOCK_BYTES);
    await writeFile(memory.expectedPath, memory.expected);
    expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    await server.close();
  });

  it('cannot be followed by one for other regions, another process, or none', async () => {
    await using memory = await randomMemory(directory.path, 64);
    await using vmm = await TestVmm.start('memfd', 64);
    await using other = await TestVmm.start('memfd', 64);
    await using first = await serveInProcess(memory, vmm);
    await first.kill();
    const elsewhere = first.regions.map((region) => ({ ...region, address: 4096n }));
    const codeOf = (pid: number, regions: MemoryRegion[]) => {
      try {
        adopt(memory, pid, regions);
        return 'adopted';
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };

    expect(codeOf(vmm.pid, elsewhere)).to.equal('EINVAL');
    expect(codeOf(vmm.pid, [])).to.equal('EINVAL');
    expect(codeOf(process.pid, first.regions)).to.equal('ENOENT');
    await other.kill();
    expect(codeOf(other.pid, first.regions)).to.equal('ESRCH');
  });
});

/** Of the VMM's userfaultfd: faults that nobody has read, and all that wait. */
async function pendingFaults(pid: number): Promise<number[]> {
  for (const name of await readdir(`/proc/${pid}/fdinfo`)) {
    const text = await readFile(`/proc/${pid}/fdinfo/${name}`, 'utf8');
    const found = /^pending:\t(\d+)\ntotal:\t(\d+)$/m.exec(text);
    if (found) return found.slice(1).map(Number);
  }
  throw new Error('the VMM has no userfaultfd');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function parseRegions(line: string): MemoryRegion[] {
  const regions = JSON.parse(line) as (Omit<MemoryRegion, 'address'> & { address: string })[];
  return regions.map((region) => ({ ...region, address: BigInt(region.address) }));
}
