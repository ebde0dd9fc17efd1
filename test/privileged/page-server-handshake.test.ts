/** What a page server does with handshakes that are not what was agreed. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  addon,
  type NativePageServer,
  type PageServerOptions,
} from '../../native/addon/binding.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { randomMemory, type TestMemory } from './page-server-memory.js';
import { makeAddon, TestVmm } from './page-server-vmm.js';

const BLOCKS = 64;
const SIZE_BYTES = BLOCKS * 4096;

interface Region {
  base_host_virt_addr: number;
  size: number;
  offset: number;
  page_size: number;
  page_size_kib?: number;
}

describe('the handshake of a page server', function () {
  this.timeout(60_000);

  let directory: TemporaryDirectory;
  let socketPath: string;
  let memory: TestMemory;
  let vmm: TestVmm;
  let region: Region;
  let descriptors: string[];

  before(function () {
    requireNeed(this, 'root');
    makeAddon('programs');
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    socketPath = join(directory.path, 'memory.sock');
    memory = await randomMemory(directory.path, BLOCKS);
    vmm = await TestVmm.start('memfd', BLOCKS);
    [region] = JSON.parse(await vmm.text()) as [Region];
    descriptors = await readdir('/proc/self/fd');
  });

  afterEach(async () => {
    const left = await readdir('/proc/self/fd');
    await vmm[Symbol.asyncDispose]();
    await memory[Symbol.asyncDispose]();
    await directory.remove();
    expect(left, 'descriptors').to.have.length(descriptors.length);
  });

  function start(options: Partial<PageServerOptions> = {}): NativePageServer {
    const server = addon().startPageServer({
      socketPath,
      removedPath: join(directory.path, 'memory.removed'),
      uid: 0,
      pid: 0,
      memory: memory.mapped,
      sizeBytes: memory.sizeBytes,
      runBlocksMax: 16,
      handshakeTimeoutMs: 10_000,
      ...options,
    });
    // Each test looks at it later.
    server.handshake.catch(() => undefined);
    return server;
  }

  /** The code with which the handshake fails; the server has ended, and is closed. */
  async function refusal(server: NativePageServer): Promise<unknown> {
    const error = await server.handshake.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(await server.ended).to.have.property('kind', 'failed');
    expect(await readdir(directory.path)).not.to.include('memory.sock');
    await server.close();
    return (error as NodeJS.ErrnoException | undefined)?.code;
  }

  async function refusalOf(text: string, count = 1, kind: 'uffd' | 'other' = 'uffd') {
    const server = start();
    await vmm.send(socketPath, text, count, kind);
    return await refusal(server);
  }

  for (const count of [0, 2, 5, 253]) {
    it(`is refused with ${count} descriptors`, async () => {
      expect(await refusalOf(JSON.stringify([region]), count)).to.equal('EPROTO');
    });
  }

  it('is refused with a descriptor that is no userfaultfd', async () => {
    expect(await refusalOf(JSON.stringify([region]), 1, 'other')).to.equal('EBADF');
  });

  it('is refused from another user', async () => {
    const server = start({ uid: 65_534 });
    await vmm.handshake(socketPath);
    expect(await refusal(server)).to.equal('EPERM');
  });

  it('is refused from another process than the one that was named', async () => {
    const server = start({ pid: process.pid });
    await vmm.handshake(socketPath);
    expect(await refusal(server)).to.equal('EPERM');
  });

  it('is taken from the process that was named', async () => {
    const server = start({ pid: vmm.pid });
    await vmm.handshake(socketPath);
    const { pid, regions } = await server.handshake;
    expect(pid).to.equal(vmm.pid);
    expect(regions).to.deep.equal([
      { address: BigInt(region.base_host_virt_addr), sizeBytes: SIZE_BYTES, offset: 0 },
    ]);
    await server.close();
  });

  it('is not awaited for ever', async () => {
    expect(await refusal(start({ handshakeTimeoutMs: 20 }))).to.equal('ETIMEDOUT');
  });

  it('is not awaited for ever when it stays a part', async () => {
    const server = start({ handshakeTimeoutMs: 300 });
    await vmm.send(socketPath, JSON.stringify([region]).slice(0, -5));
    expect(await refusal(server)).to.equal('ETIMEDOUT');
  });

  it('is refused when the VMM leaves in the middle of it', async () => {
    const server = start();
    await vmm.send(socketPath, '[{');
    await vmm.leave();
    expect(await refusal(server)).to.equal('ECONNRESET');
  });

  it('is refused when it is too long', async () => {
    // Spaces may stand in it, but not without end.
    expect(await refusalOf(`[${' '.repeat(40_000)}`)).to.equal('EMSGSIZE');
  });

  it('is refused when something comes after it', async () => {
    const text = JSON.stringify([region]);
    expect(await refusalOf(text + text)).to.equal('EPROTO');
  });

  const garbage = [
    'garbage',
    '[]',
    '{}',
    '[{}]',
    '[null]',
    '[1,2,3]',
    `${'['.repeat(1000)}`,
    `[{"x":${'['.repeat(1000)}`,
    '\u0001',
  ];
  for (const text of garbage) {
    it(`is refused when it is ${JSON.stringify(text.slice(0, 20))}`, async () => {
      expect(await refusalOf(text)).to.equal('EPROTO');
    });
  }

  const changes: [string, (region: Region) => unknown[]][] = [
    ['has huge pages', (one) => [{ ...one, page_size: 2_097_152 }]],
    ['has two page sizes', (one) => [{ ...one, page_size_kib: 4 }]],
    [
      'has no page size',
      ({ base_host_virt_addr, size, offset }) => [{ base_host_virt_addr, size, offset }],
    ],
    ['has a negative offset', (one) => [{ ...one, offset: -4096 }]],
    ['has a fraction', (one) => [{ ...one, offset: 0.5 }]],
    ['has text for a number', (one) => [{ ...one, size: String(one.size) }]],
    ['is larger than the memory', (one) => [{ ...one, size: 2 * one.size }]],
    ['is smaller than the memory', (one) => [{ ...one, size: one.size / 2 }]],
    ['is empty', (one) => [{ ...one, size: 0 }]],
    ['ends beyond the memory', (one) => [{ ...one, offset: 4096 }]],
    [
      'begins within a page',
      (one) => [{ ...one, base_host_virt_addr: one.base_host_virt_addr + 8 }],
    ],
    [
      'has a part twice',
      (one) => [
        { ...one, size: one.size / 2 },
        { ...one, size: one.size / 2 },
      ],
    ],
    [
      'has overlapping addresses',
      (one) => [
        { ...one, size: one.size / 2 },
        { ...one, size: one.size / 2, offset: one.size / 2 },
      ],
    ],
    [
      'has too many regions',
      (one) =>
        Array.from({ length: 65 }, (_, index) => ({
          ...one,
          base_host_virt_addr: one.base_host_virt_addr + index * 4096,
          size: 4096,
          offset: index * 4096,
        })),
    ],
  ];
  for (const [title, change] of changes) {
    it(`is refused when it ${title}`, async () => {
      expect(await refusalOf(JSON.stringify(change(region)))).to.equal('EPROTO');
    });
  }

  it('is refused when numbers overflow', async () => {
    const text = (address: string, size: string) =>
      `[{"base_host_virt_addr":${address},"size":${size},"offset":0,"page_size":4096}]`;
    const whole = String(SIZE_BYTES);
    expect(await refusalOf(text('18446744073709547520', whole))).to.equal('EPROTO');
    expect(await refusalOf(text('18446744073709551616', whole))).to.equal('EPROTO');
    expect(await refusalOf(text('4096', '18446744073709547520'))).to.equal('EPROTO');
  });

  it('may have keys that nobody knows, and the older name of the page size', async () => {
    const { base_host_virt_addr, size, offset } = region;
    const known = { base_host_virt_addr, size, offset, page_size_kib: 4096 };
    const server = start();
    await vmm.send(socketPath, JSON.stringify([{ new: { a: [1, 'x"}]', null] }, ...known }]));
    server.serve();
    expect(await vmm.verify(memory.expectedPath)).to.deep.equal({ wrong: 0, zero: 0 });
    await server.close();
  });
});
