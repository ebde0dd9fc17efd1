import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LedgerEntry } from './entry.js';
import { ENTRY_BYTES_MAX, Ledger } from './ledger.js';

describe('Ledger', () => {
  let directory: string;
  let ledger: Ledger;

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'wrenn-ledger-')), 'ledger');
    ledger = await Ledger.open(directory);
  });

  afterEach(() => rm(join(directory, '..'), { recursive: true }));

  const entry = (sandboxId: string): LedgerEntry => ({
    sandboxId,
    generation: 1,
    phase: 'starting',
    template: 'minimal',
    vcpus: 1,
    memoryMb: 512,
    timeoutSec: 0,
    createdAtMs: 1,
    guestToken: 'secret',
    runDirectory: '/run/x',
    env: {},
    pauseOnTimeout: false,
    images: { rootfsPath: '', toolsPath: '', kernelPath: '', initrdPath: '' },
    slot: { index: 1 },
  });

  it('reads back what was put, the newest of each sandbox', async () => {
    await ledger.put(entry('sandbox1'));
    await ledger.put({ ...entry('sandbox1'), phase: 'running' });
    await ledger.put(entry('sandbox2'));
    const { entries, unreadable } = await ledger.read();
    expect(unreadable).to.deep.equal([]);
    expect(entries).to.have.deep.members([
      { ...entry('sandbox1'), phase: 'running' },
      entry('sandbox2'),
    ]);
  });

  it('keeps the guest tokens from other users', async () => {
    await ledger.put(entry('sandbox1'));
    expect((await stat(join(directory, 'sandbox1.json'))).mode & 0o777).to.equal(0o600);
  });

  it('removes an entry, twice without complaint', async () => {
    await ledger.put(entry('sandbox1'));
    await ledger.remove('sandbox1');
    await ledger.remove('sandbox1');
    expect((await ledger.read()).entries).to.deep.equal([]);
  });

  it('drops what a crash left of an unfinished write', async () => {
    await writeFile(join(directory, 'sandbox1.json.abc.tmp'), '{"format":');
    expect(await ledger.read()).to.deep.equal({ entries: [], unreadable: [] });
    expect(await readdir(directory)).to.deep.equal([]);
  });

  it('tells unreadable entries apart from absent ones, at every length that a cut can leave', async () => {
    await ledger.put(entry('sandbox1'));
    const path = join(directory, 'sandbox1.json');
    const { size } = await stat(path);
    for (const length of [size - 1, Math.floor(size / 2), 1, 0]) {
      await truncate(path, length);
      const { entries, unreadable } = await ledger.read();
      expect(entries, `cut to ${length}`).to.deep.equal([]);
      expect(unreadable.map((item) => item.path)).to.deep.equal([path]);
    }
  });

  it('does not take another version, another id, a strange name or a huge file for an entry', async () => {
    const file = (content: object) =>
      JSON.stringify({ format: 'wrenn-ledger', version: 1, ...content });
    await writeFile(
      join(directory, 'sandbox1.json'),
      file({ version: 2, entry: entry('sandbox1') }),
    );
    await writeFile(join(directory, 'sandbox2.json'), file({ entry: entry('sandbox9') }));
    await writeFile(join(directory, 'UPPER.json'), file({ entry: entry('UPPER') }));
    await writeFile(join(directory, 'sandbox3.json'), ' '.repeat(ENTRY_BYTES_MAX + 1));
    const { entries, unreadable } = await ledger.read();
    expect(entries).to.deep.equal([]);
    expect(unreadable).to.have.length(4);
  });
});
