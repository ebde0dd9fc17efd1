import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { InjectedFault } from '../../../lib/faults/fault-plan.js';
import { addon, SOURCE_ZERO } from '../../../native/addon/binding.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import type { MemoryFiles, MemoryRecord, ServeRequest } from '../provider.js';
import { createFakeMemoryProvider } from './provider.js';

const BLOCK_BYTES = 4096;
const ignoreRecord = async () => undefined;

describe('the fake memory', () => {
  let directory: TemporaryDirectory;
  let memory: MemoryFiles;
  let request: ServeRequest;

  /** Blocks a, zero, c, b out of two files. */
  beforeEach(async () => {
    directory = await temporaryDirectory();
    const paths = [join(directory.path, 'one'), join(directory.path, 'two')];
    await writeFile(paths[0] ?? '', Buffer.concat([block('a'), block('b')]));
    await writeFile(paths[1] ?? '', block('c'));
    memory = {
      sizeBytes: 4 * BLOCK_BYTES,
      paths,
      runs: Uint32Array.of(0, 1, 0, 0, 1, 1, SOURCE_ZERO, 0, 2, 1, 1, 0, 3, 1, 0, 1),
      checksums: Uint32Array.from(['a', 'c', 'b'], (text) => addon().crc32c(block(text))),
    };
    request = { memory, runDirectory: directory.path, uid: 0 };
  });

  afterEach(() => directory.remove());

  it('is one file of every block at its own address', async () => {
    const provider = createFakeMemoryProvider();
    const records: MemoryRecord[] = [];

    const served = await provider.serve(request, async (record) => {
      records.push(record);
    });
    await served.ready;

    const { path } = served.backend as { path: string };
    const wanted = Buffer.concat([block('a'), Buffer.alloc(BLOCK_BYTES), block('c'), block('b')]);
    expect(await readFile(path)).to.deep.equal(wanted);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect(records).to.deep.equal([served.record]);
    expect(provider.held()).to.deep.equal([path]);
    await served.close();
    await served.close();
    expect(await served.failed).to.equal(undefined);
    expect(provider.held()).to.deep.equal([]);
  });

  it('goes on after a restart', async () => {
    const { record } = await createFakeMemoryProvider().serve(request, ignoreRecord);

    const provider = createFakeMemoryProvider();
    const adopted = await provider.adopt(request, record, 1);

    expect(adopted.record).to.deep.equal(record);
    expect(provider.held()).to.have.length(1);
  });

  it('names the file that is damaged, short or missing, and then holds nothing', async () => {
    const provider = createFakeMemoryProvider();
    const [one = '', two = ''] = memory.paths;
    const rejection = () =>
      provider.serve(request, ignoreRecord).catch((thrown: unknown) => thrown);

    memory.checksums[2] = 0;
    expect(await rejection()).to.include({ kind: 'damaged', artifact: one });
    await truncate(two, 100);
    expect(await rejection()).to.include({ kind: 'damaged', artifact: two });
    request = { ...request, memory: { ...memory, paths: [one, `${two}.missing`] } };
    expect(await rejection()).to.include({ kind: 'damaged', artifact: `${two}.missing` });

    expect(provider.held()).to.deep.equal([]);
  });

  it('fails as planned', async () => {
    const provider = createFakeMemoryProvider();
    const { faults } = provider;
    faults.failNext('memory.serve');
    faults.failNext('memory.adopt');
    faults.failNext('memory.close');
    const failure = (call: Promise<unknown>) => call.catch((thrown: unknown) => thrown);

    expect(await failure(provider.serve(request, ignoreRecord))).to.be.instanceOf(InjectedFault);
    const served = await provider.serve(request, ignoreRecord);
    expect(await failure(provider.adopt(request, served.record, 1))).to.be.instanceOf(
      InjectedFault,
    );
    expect(await failure(served.close())).to.be.instanceOf(InjectedFault);
    expect(provider.held()).to.have.length(1);
    await served.close();
    expect(provider.held()).to.deep.equal([]);
  });
});

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK_BYTES, text);
}
