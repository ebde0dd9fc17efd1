import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Rootfs, RootfsRequest } from '../../agent/rootfs/provider.js';
import { createQcow2Provider } from '../../agent/rootfs/qcow2.js';
import { hasReason, type WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { describeRootfsProvider, type RootfsProviderFixture } from './rootfs-provider.js';

const UID = 1_899_999_999;
const IMAGE_BYTES = 64 * 1024 * 1024;
const PLACE_BYTES = 1024 * 1024;
/** Places begin behind what the image has. */
const FIRST_PLACE = 1;
const TEXT_BYTES_MAX = 64;

const nothingRecorded = () => Promise.resolve();

/** An image and disks of it, in a folder of the test. */
class Qcow2Fixture implements RootfsProviderFixture {
  readonly folder: string;
  readonly provider;
  readonly imagePath: string;
  readonly #directory: TemporaryDirectory;

  private constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
    this.folder = join(directory.path, 'disks');
    this.imagePath = join(directory.path, 'image.raw');
    this.provider = createQcow2Provider({ folder: this.folder, log: silentLog });
  }

  static async create(): Promise<Qcow2Fixture> {
    const fixture = new Qcow2Fixture(await temporaryDirectory());
    await writeFile(fixture.imagePath, 'the template', { mode: 0o444 });
    await truncate(fixture.imagePath, IMAGE_BYTES);
    return fixture;
  }

  async makeRequest(): Promise<RootfsRequest> {
    return { sandboxId: randomId(), imagePath: this.imagePath, layers: [], uid: UID };
  }

  async write({ path, format }: Rootfs, place: number, text: string): Promise<void> {
    const source = join(this.#directory.path, 'text');
    await writeFile(source, Buffer.concat([Buffer.from(text), Buffer.alloc(512)]).subarray(0, 512));
    const offset = (FIRST_PLACE + place) * PLACE_BYTES;
    await run('qemu-io', ['-f', format, '-c', `write -s ${source} ${offset} 512`, path]);
  }

  async read({ path, format }: Rootfs, places: number): Promise<string[]> {
    const raw = join(this.#directory.path, 'content.raw');
    await run('qemu-img', ['convert', '-f', format, '-O', 'raw', path, raw]);
    await using file = await open(raw);
    const texts: string[] = [];
    for (let place = 0; place < places; place += 1) {
      const buffer = Buffer.alloc(TEXT_BYTES_MAX);
      await file.read(buffer, 0, buffer.length, (FIRST_PLACE + place) * PLACE_BYTES);
      texts.push(buffer.toString('utf8').replaceAll('\0', ''));
    }
    return texts;
  }

  close(): Promise<void> {
    return this.#directory.remove();
  }
}

async function createFixture(context: Mocha.Context): Promise<Qcow2Fixture> {
  requireNeed(context, 'root', 'qemu');
  return Qcow2Fixture.create();
}

describeRootfsProvider('qcow2', createFixture);

describe('qcow2 layer', () => {
  let fixture: Qcow2Fixture;

  before(async function () {
    fixture = await createFixture(this);
  });

  after(() => fixture?.close());

  const create = async (layers: readonly string[] = []) =>
    fixture.provider.create({ ...(await fixture.makeRequest()), layers }, nothingRecorded);

  it('belongs to the VMM’s user alone, until it is sealed', async () => {
    const rootfs = await create();
    const { uid, gid, mode } = await stat(rootfs.path);
    expect({ uid, gid, mode: mode & 0o777 }).to.deep.equal({ uid: UID, gid: UID, mode: 0o600 });

    await fixture.provider.seal(rootfs);

    const sealed = await stat(rootfs.path);
    expect({ uid: sealed.uid, mode: sealed.mode & 0o777 }).to.deep.equal({ uid: 0, mode: 0o444 });
  });

  it('shows the template’s content, keeps what is written, and never writes the template', async () => {
    const before = await sha256(fixture.imagePath);
    const { path, format } = await create();

    await run('qemu-io', ['-f', format, '-c', 'write -P 0x77 4096 65536', path]);
    const { stdout } = await run('qemu-io', [
      ...['-f', format],
      ...['-c', 'read -P 0x77 4096 65536', '-c', 'read -P 0x74 0 1', path],
    ]);

    expect(stdout).not.to.include('verification failed');
    expect(await sha256(fixture.imagePath)).to.equal(before);
  });

  it('counts the blocks that it takes, not the size that a guest sees', async () => {
    const { layer, path } = await create();
    const empty = await fixture.provider.sizeBytes(layer);

    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 8M', path]);
    const written = await fixture.provider.sizeBytes(layer);

    expect(empty).to.be.within(1, 1024 * 1024);
    expect(written - empty).to.be.within(8 * 1024 * 1024, 9 * 1024 * 1024);
  });

  it('can be put over one that its machine still writes', async () => {
    const lower = await create();
    const writer = new AbortController();
    const hold = ['-f', 'qcow2', '-c', 'write -P 1 0 64k', '-c', 'sleep 20000', lower.path];
    const writing = run('qemu-io', hold, { signal: writer.signal }).catch(() => undefined);
    // Nobody else may open it for reading while it is written.
    const isLocked = async () => expect(await failureOf(info(lower))).to.be.an('error');
    try {
      await eventually(isLocked);

      const upper = await create([lower.layer]);

      expect(upper.layers).to.deep.equal([lower.layer]);
      await isLocked();
    } finally {
      writer.abort();
      await writing;
    }
  });

  it('of a merge has only what layers have, each place once', async () => {
    const layers: string[] = [];
    for (const pattern of [1, 2, 3]) {
      const rootfs = await create(layers);
      await run('qemu-io', ['-f', 'qcow2', '-c', `write -P ${pattern} 16M 4M`, rootfs.path]);
      await fixture.provider.seal(rootfs);
      layers.push(rootfs.layer);
    }

    const merged = await fixture.provider.merge(fixture.imagePath, layers);

    expect(await fixture.provider.sizeBytes(merged)).to.be.within(4 * 2 ** 20, 5 * 2 ** 20);
  });

  it('is not read when it names another file of the host as what lies below', async () => {
    const secret = join(fixture.folder, '..', 'secret.raw');
    await copyFile(fixture.imagePath, secret);
    const rootfs = await create();
    await run('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-F', 'raw', '-b', secret, rootfs.path]);

    const failures = [
      await failureOf(fixture.provider.seal(rootfs)),
      await failureOf(fixture.provider.merge(fixture.imagePath, [rootfs.layer])),
      await failureOf(create([rootfs.layer])),
    ];

    for (const error of failures) expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);
  });

  it('is not merged while somebody has it open for writing, who could name another file', async () => {
    const rootfs = await create();
    const writer = await open(rootfs.path, 'r+');
    await fixture.provider.seal(rootfs);
    const merge = () => fixture.provider.merge(fixture.imagePath, [rootfs.layer]);

    expect(await failureOf(merge())).to.be.an('error');
    await writer.close();
    expect(await failureOf(merge())).to.equal(undefined);
  });

  it('is damaged when its header or its tables are, or the layer below is gone', async () => {
    const lower = await create();
    const upper = await create([lower.layer]);
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 8M', upper.path]);
    await fixture.provider.seal(upper);
    const content = await readFile(upper.path);

    for (const place of [0, 3 * 65536 + 4]) {
      const changed = Buffer.from(content);
      changed.writeUInt8((changed[place] ?? 0) ^ 0xff, place);
      await writeFile(upper.path, changed);
      await requireDamaged(upper.layer);
    }
    await writeFile(upper.path, content.subarray(0, content.length / 2));
    await requireDamaged(upper.layer);
    await writeFile(upper.path, content);
    await fixture.provider.verify(upper.layer);
    await rm(dirname(lower.path), { recursive: true });
    await requireDamaged(upper.layer);
  });

  it('is damaged when its tables were before it was sealed', async () => {
    const rootfs = await create();
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 8M', rootfs.path]);
    const content = await readFile(rootfs.path);
    content.writeUInt8((content[3 * 65536 + 4] ?? 0) ^ 0xff, 3 * 65536 + 4);
    await writeFile(rootfs.path, content);

    await fixture.provider.seal(rootfs);

    await fixture.provider.check(rootfs.layer);
    await requireDamaged(rootfs.layer);
  });

  it('is damaged when one bit of what a guest has written is another, which no table tells', async () => {
    const rootfs = await create();
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0x5a 0 64k', rootfs.path]);
    await fixture.provider.seal(rootfs);
    const content = await readFile(rootfs.path);
    const cluster = content.indexOf(Buffer.alloc(65536, 0x5a));
    expect(cluster).to.be.greaterThan(0);

    for (const byte of [0, 4711, 65535]) {
      const changed = Buffer.from(content);
      changed.writeUInt8(0x5b, cluster + byte);
      await writeFile(rootfs.path, changed);
      await run('qemu-img', ['check', '-q', '-f', 'qcow2', rootfs.path]);
      await fixture.provider.check(rootfs.layer);
      await requireDamaged(rootfs.layer);
    }
    await writeFile(rootfs.path, content);
    await fixture.provider.verify(rootfs.layer);
  });

  it('is not sealed on a full disk, and is when there is room again', async () => {
    await mkdir(fixture.folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', fixture.folder]);
    try {
      const rootfs = await create();
      const filler = join(fixture.folder, 'filler');
      await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']).catch(() => undefined);

      const error = await failureOf(fixture.provider.seal(rootfs));

      expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
      expect(await readdir(dirname(rootfs.path))).to.deep.equal(['disk.qcow2']);
      await rm(filler);
      await fixture.provider.seal(rootfs);
      await fixture.provider.verify(rootfs.layer);
    } finally {
      await run('umount', [fixture.folder]);
    }
  });

  it('is refused on a full disk, and leaves nothing there', async () => {
    await mkdir(fixture.folder, { recursive: true });
    await fixture.provider.collect(() => new Set());
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', fixture.folder]);
    try {
      const error = await failureOf(create());

      expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
      expect(await fixture.provider.collect(() => new Set())).to.deep.equal([]);
    } finally {
      await run('umount', [fixture.folder]);
    }
  });

  it('of a merge is refused on a full disk, and leaves nothing there', async () => {
    await mkdir(fixture.folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'tmpfs', fixture.folder]);
    try {
      const rootfs = await create();
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 6M', rootfs.path]);
      await fixture.provider.seal(rootfs);

      const error = await failureOf(fixture.provider.merge(fixture.imagePath, [rootfs.layer]));

      expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
      expect(await fixture.provider.collect(() => new Set([rootfs.layer]))).to.deep.equal([]);
    } finally {
      await run('umount', [fixture.folder]);
    }
  });

  async function requireDamaged(layer: string): Promise<void> {
    const error = (await failureOf(fixture.provider.verify(layer))) as WrennError;
    expect(hasReason(error, 'SNAPSHOT_DAMAGED')).to.equal(true);
    expect(error.metadata.artifact).to.include(layer);
  }
});

function info({ path }: Rootfs): Promise<unknown> {
  return run('qemu-img', ['info', path]);
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
