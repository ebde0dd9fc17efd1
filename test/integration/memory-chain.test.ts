/** Chains of memory files against a model of plain bytes, through the addon and on real files. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { CHAIN_LENGTH_MAX } from '../../agent/snapshot/generation.js';
import { BLOCK_BYTES, depth, isFlat } from '../../agent/snapshot/memory-header.js';
import { MemoryChain } from '../support/memory-chain.js';
import { type GuestAction, ModelGuest } from '../support/model-guest.js';

const BLOCKS = 64;
const CHAINS = 2_000;
const CHAINS_UNVERIFIED = 400;
const CHAINS_ON_DISK = 100;
const TIMEOUT_MS = 120_000;

/** What happens between two pauses. */
interface Period {
  actions: GuestAction[];
  /** Whether the machine ends at the pause and comes back, or goes on as after a running snapshot. */
  restore: boolean;
  /** Whether the chain is merged although it is not full. */
  merge: boolean;
}

const range = { first: fc.nat(BLOCKS - 1), count: fc.integer({ min: 1, max: 8 }) };
const byte = fc.integer({ min: 1, max: 255 });
const action: fc.Arbitrary<GuestAction> = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), ...range, byte }),
  fc.record({
    kind: fc.constant('sparse' as const),
    ...range,
    byte,
    offset: fc.oneof(fc.constantFrom(0, BLOCK_BYTES - 1), fc.nat(BLOCK_BYTES - 1)),
  }),
  fc.record({ kind: fc.constant('rewrite' as const), ...range }),
  fc.record({ kind: fc.constant('zero' as const), ...range }),
  fc.record({ kind: fc.constant('remove' as const), ...range }),
);
const periods: fc.Arbitrary<Period[]> = fc.array(
  fc.record({
    actions: fc.array(action, { maxLength: 8 }),
    restore: fc.boolean(),
    merge: fc.boolean(),
  }),
  { minLength: 1, maxLength: CHAIN_LENGTH_MAX + 2 },
);

describe('a chain of memory files', function () {
  this.timeout(TIMEOUT_MS);
  let memory: string;
  let disk: string;

  before(() => {
    memory = mkdtempSync('/dev/shm/wrenn-chain-');
    disk = mkdtempSync(join(tmpdir(), 'wrenn-chain-'));
  });

  after(() => {
    for (const folder of [memory, disk]) rmSync(folder, { recursive: true, force: true });
  });

  /** Lets a guest live through the periods, and checks each generation. */
  async function live(
    folder: string,
    lifetime: readonly Period[],
    check: (chain: MemoryChain, guest: ModelGuest) => Promise<void> | void = () => {},
    verified = true,
  ): Promise<void> {
    using chain = new MemoryChain(folder, BLOCKS, 'chain', verified);
    const guest = new ModelGuest(BLOCKS);
    for (const period of lifetime) {
      const parent = guest.content;
      for (const each of period.actions) guest.act(each);
      const { writtenBlocks } = await pause(chain, guest, folder);
      expect(writtenBlocks).to.equal(guest.changedBlocks(parent));
      // On tmpfs a file takes exactly what was written into it.
      if (folder === memory) expect(chain.allocatedBytes()).to.equal(writtenBlocks * BLOCK_BYTES);
      expect(chain.content().equals(guest.content), 'content of the chain').to.equal(true);
      expect(await chain.verify()).to.equal(-1);
      await check(chain, guest);
      if (period.restore) guest.restored();
      if (depth(chain.header) >= CHAIN_LENGTH_MAX) await chain.merge();
    }
  }

  const pause = (chain: MemoryChain, guest: ModelGuest, folder: string) =>
    guest.withFile(join(folder, 'guest'), (fd) =>
      chain.append({ kind: 'memfd', fd }, guest.removed),
    );

  it('is the memory of the guest at every pause, whatever it did', async () => {
    await fc.assert(
      fc.asyncProperty(periods, (lifetime) => live(memory, lifetime)),
      { numRuns: CHAINS },
    );
  });

  it('is so on a disk as well', async () => {
    await fc.assert(
      fc.asyncProperty(periods, (lifetime) => live(disk, lifetime)),
      { numRuns: CHAINS_ON_DISK },
    );
  });

  it('is so without checksums, when only the files can tell what has changed', async () => {
    await fc.assert(
      fc.asyncProperty(periods, (lifetime) => live(memory, lifetime, () => {}, false)),
      { numRuns: CHAINS_UNVERIFIED },
    );
  });

  it('may be mapped as one file exactly when that file alone is the memory', async () => {
    await fc.assert(
      fc.asyncProperty(periods, (lifetime) =>
        live(memory, lifetime, (chain, guest) => {
          const [build] = chain.header.builds;
          if (!isFlat(chain.header) || build === undefined) return;
          expect(depth(chain.header)).to.equal(1);
          expect(readFileSync(chain.path(build)).equals(guest.content)).to.equal(true);
        }),
      ),
      { numRuns: CHAINS_ON_DISK },
    );
  });

  it('is the same memory after a merge, and a second merge changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(periods, (lifetime) =>
        live(memory, lifetime, async (chain, guest) => {
          const once = await mergedCopy(chain, guest);
          const twice = await mergedCopy(chain, guest);
          expect(twice).to.deep.equal(once);
        }),
      ),
      { numRuns: CHAINS_ON_DISK },
    );
  });

  async function mergedCopy(chain: MemoryChain, guest: ModelGuest) {
    const written = await chain.merge();
    expect(isFlat(chain.header)).to.equal(true);
    expect(chain.content().equals(guest.content), 'content after the merge').to.equal(true);
    expect(await chain.verify()).to.equal(-1);
    expect(chain.allocatedBytes()).to.equal(written * BLOCK_BYTES);
    expect(statSync(chain.path(chain.newestBuild)).size).to.equal(guest.content.length);
    return { written, runs: chain.header.runs, checksums: chain.header.checksums };
  }

  it('comes to the same end wherever it is merged on the way', async () => {
    await fc.assert(
      fc.asyncProperty(periods, async (lifetime) => {
        using plain = new MemoryChain(memory, BLOCKS, 'plain');
        using merged = new MemoryChain(memory, BLOCKS, 'merged');
        const guest = new ModelGuest(BLOCKS);
        for (const period of lifetime.slice(0, CHAIN_LENGTH_MAX)) {
          for (const each of period.actions) guest.act(each);
          const [one, other] = [
            await pause(plain, guest, memory),
            await pause(merged, guest, memory),
          ];
          expect(other).to.deep.equal(one);
          if (period.restore) guest.restored();
          if (period.merge) await merged.merge();
        }
        expect(await mergedCopy(plain, guest)).to.deep.equal(await mergedCopy(merged, guest));
      }),
      { numRuns: CHAINS_ON_DISK },
    );
  });

  for (const kind of ['zero', 'remove'] as const) {
    const how = kind === 'zero' ? 'the guest has zeroed' : 'the guest has given back';

    it(`a page that ${how} stays zero over any number of pauses`, async () => {
      using chain = new MemoryChain(memory, BLOCKS);
      const guest = new ModelGuest(BLOCKS);
      guest.act({ kind: 'write', first: 0, count: BLOCKS, byte: 0xaa });
      await pause(chain, guest, memory);
      guest.restored();
      guest.act({ kind, first: 5, count: 2 });
      for (let pauses = 0; pauses < 3 * CHAIN_LENGTH_MAX; pauses++) {
        if (pauses > 0) guest.act({ kind: 'write', first: 8 + pauses, count: 1, byte: pauses });
        const { writtenBlocks } = await pause(chain, guest, memory);
        expect(writtenBlocks).to.equal(Math.min(pauses, 1));
        const zeros = chain.content().subarray(5 * BLOCK_BYTES, 7 * BLOCK_BYTES);
        expect(zeros.equals(Buffer.alloc(2 * BLOCK_BYTES)), `after ${pauses}`).to.equal(true);
        expect(isFlat(chain.header), 'the old file, mapped, would have them').to.equal(false);
        guest.restored();
        if (depth(chain.header) < CHAIN_LENGTH_MAX) continue;
        await chain.merge();
        expect(chain.content().equals(guest.content)).to.equal(true);
        break;
      }
    });
  }

  it('holds nothing for blocks that were zeroed, or written as they were', async () => {
    using chain = new MemoryChain(memory, BLOCKS);
    const guest = new ModelGuest(BLOCKS);
    guest.act({ kind: 'write', first: 0, count: BLOCKS / 2, byte: 1 });
    await pause(chain, guest, memory);
    expect(chain.allocatedBytes()).to.equal((BLOCKS / 2) * BLOCK_BYTES);

    guest.act({ kind: 'rewrite', first: 0, count: 8 });
    guest.act({ kind: 'zero', first: 8, count: 8 });
    guest.act({ kind: 'zero', first: BLOCKS / 2, count: 8 });
    const result = await pause(chain, guest, memory);
    expect(result.writtenBlocks).to.equal(0);
    expect(result.scannedBlocks).to.equal(BLOCKS / 2 + 8);
    expect(chain.allocatedBytes()).to.equal(0);
  });

  it('holds nothing for blocks that a machine was only given to read', async () => {
    using chain = new MemoryChain(memory, BLOCKS);
    const guest = new ModelGuest(BLOCKS);
    guest.act({ kind: 'write', first: 0, count: BLOCKS, byte: 1 });
    await pause(chain, guest, memory);
    const before = chain.header;
    guest.restored();
    guest.act({ kind: 'rewrite', first: 0, count: BLOCKS });
    await pause(chain, guest, memory);
    expect(chain.header).to.deep.equal(before);
    expect(isFlat(chain.header)).to.equal(true);
  });
});
