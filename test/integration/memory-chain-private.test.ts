/** Chains of memory files out of private maps in other processes. */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { BLOCK_BYTES, isFlat } from '../../agent/snapshot/memory-header.js';
import { addon, type MappedMemory, SOURCE_INHERIT } from '../../native/addon/binding.js';
import { MemoryChain } from '../support/memory-chain.js';
import { ModelGuest } from '../support/model-guest.js';
import { compilePrivateMap, PrivateMap } from '../support/private-map.js';

const BLOCKS = 64;
const MAPS = 40;
const TIMEOUT_MS = 60_000;

describe('a chain of memory files out of a private map', function () {
  this.timeout(TIMEOUT_MS);
  let folder: string;
  let program: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'wrenn-private-'));
    program = compilePrivateMap(folder);
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** A machine was booted, had content in the first half, and was paused. */
  async function firstPause(chain: MemoryChain, guest: ModelGuest): Promise<string> {
    guest.act({ kind: 'write', first: 0, count: BLOCKS / 2, byte: 0x11 });
    await guest.withFile(join(folder, 'guest'), (fd) => chain.append({ kind: 'memfd', fd }));
    expect(isFlat(chain.header)).to.equal(true);
    return chain.path(chain.newestBuild);
  }

  async function fill(map: PrivateMap, guest: ModelGuest, block: number, byte: number) {
    guest.act({ kind: 'write', first: block, count: 1, byte });
    await map.fill(block, byte);
  }

  it('is the memory of the process at every snapshot', async () => {
    const actions = fc.array(
      fc.array(fc.tuple(fc.nat(BLOCKS - 1), fc.constantFrom(-1, 0, 0x11, 0x22, 0x33)), {
        maxLength: 12,
      }),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(actions, async (periods) => {
        using chain = new MemoryChain(folder, BLOCKS);
        const guest = new ModelGuest(BLOCKS);
        await using map = await PrivateMap.open(program, await firstPause(chain, guest));
        for (const period of periods) {
          const parent = guest.content;
          for (const [block, byte] of period)
            if (byte < 0) await map.read(block);
            else await fill(map, guest, block, byte);
          const { writtenBlocks } = await chain.append(map.source);
          expect(writtenBlocks).to.equal(guest.changedBlocks(parent));
          expect(chain.content().equals(guest.content), 'content').to.equal(true);
          expect(await chain.verify()).to.equal(-1);
        }
      }),
      { numRuns: MAPS },
    );
  });

  it('looks at nothing that was only read', async () => {
    using chain = new MemoryChain(folder, BLOCKS);
    const guest = new ModelGuest(BLOCKS);
    await using map = await PrivateMap.open(program, await firstPause(chain, guest));
    for (let block = 0; block < BLOCKS; block++) await map.read(block);
    await fill(map, guest, 3, 0x77);
    const result = await chain.append(map.source);
    expect(result).to.include({ scannedBlocks: 1, writtenBlocks: 1 });
    await map.discard(3);
    expect((await chain.append(map.source)).runs).to.deep.equal(
      Uint32Array.of(0, BLOCKS, SOURCE_INHERIT, 0),
    );
  });

  describe('refuses', () => {
    const sizeBytes = BLOCKS * BLOCK_BYTES;

    /** The code of a scan of a map that was made of a whole file. */
    async function codeOf(
      mode: string,
      change: (map: PrivateMap) => Promise<{ pid?: number; address?: bigint; parent?: undefined }>,
    ): Promise<unknown> {
      using chain = new MemoryChain(folder, BLOCKS);
      const path = await firstPause(chain, new ModelGuest(BLOCKS));
      await using map = await PrivateMap.open(program, path, mode);
      const { pid = map.pid, address = map.address, ...rest } = await change(map);
      const file = openSync(path, 'r');
      const output = openSync(join(folder, 'output'), 'w');
      const { runs, checksums } = chain.header;
      const parent: MappedMemory = { files: [file], runs, checksums };
      try {
        const source = { kind: 'private' as const, pid, address };
        const given = 'parent' in rest ? {} : { parent };
        await addon().scanMemory({ source, sizeBytes, ...given, outputFd: output });
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      } finally {
        closeSync(file);
        closeSync(output);
      }
      return undefined;
    }

    it('nothing in a map that is right', async () => {
      expect(await codeOf('private', async () => ({}))).to.equal(undefined);
    });

    it('a range that is not mapped to its end', async () => {
      const nowhere = async () => ({ address: 0x1000n });
      expect(await codeOf('private', nowhere)).to.equal('EFAULT');
    });

    it('a range that does not begin where the file does', async () => {
      for (const bytes of [BLOCK_BYTES, -BLOCK_BYTES]) {
        const moved = async (map: PrivateMap) => ({ address: map.address + BigInt(bytes) });
        expect(await codeOf('private', moved)).to.equal('EFAULT');
      }
    });

    it('an address that is none', async () => {
      for (const address of [1n, 0x7fff_ffff_ffff_f000n, 0xffff_ffff_ffff_f000n])
        expect(await codeOf('private', async () => ({ address }))).to.equal('EINVAL');
    });

    it('a shared map', async () => {
      expect(await codeOf('shared', async () => ({}))).to.equal('EFAULT');
    });

    it('a process that has ended', async () => {
      const ended = async (map: PrivateMap) => {
        await map[Symbol.asyncDispose]();
        return {};
      };
      expect(await codeOf('private', ended)).to.equal('ESRCH');
    });

    it('a map without a parent', async () => {
      expect(await codeOf('private', async () => ({ parent: undefined }))).to.equal('EINVAL');
    });
  });
});
