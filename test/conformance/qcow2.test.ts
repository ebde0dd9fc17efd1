import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { RootfsRequest } from '../../agent/rootfs/provider.js';
import { createQcow2Provider } from '../../agent/rootfs/qcow2.js';
import { hasReason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';
import { describeRootfsProvider } from './rootfs-provider.js';

const UID = 1_899_999_999;
const IMAGE_BYTES = 64 * 1024 * 1024;

/** An image and sandboxes of it, in a folder of the test. */
class Qcow2Fixture {
  readonly provider = createQcow2Provider({ log: silentLog });
  readonly imagePath: string;
  readonly #directory: TemporaryDirectory;

  private constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
    this.imagePath = join(directory.path, 'image.raw');
  }

  static async create(): Promise<Qcow2Fixture> {
    const fixture = new Qcow2Fixture(await temporaryDirectory());
    await writeFile(fixture.imagePath, 'the template', { mode: 0o444 });
    await truncate(fixture.imagePath, IMAGE_BYTES);
    return fixture;
  }

  async makeRequest(): Promise<RootfsRequest> {
    const sandboxId = randomId();
    const directory = join(this.#directory.path, sandboxId);
    await mkdir(directory);
    return { sandboxId, imagePath: this.imagePath, directory, uid: UID };
  }

  async makeBadRequest(): Promise<RootfsRequest> {
    return { ...(await this.makeRequest()), imagePath: `${this.imagePath}.none` };
  }

  leftovers({ directory }: RootfsRequest): Promise<string[]> {
    return readdir(directory);
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

describe('qcow2 overlay', () => {
  let fixture: Qcow2Fixture;

  before(async function () {
    fixture = await createFixture(this);
  });

  after(() => fixture?.close());

  it('belongs to the VMM’s user alone', async () => {
    const { path } = await fixture.provider.create(await fixture.makeRequest());

    const { uid, gid, mode } = await stat(path);

    expect({ uid, gid, mode: mode & 0o777 }).to.deep.equal({ uid: UID, gid: UID, mode: 0o600 });
  });

  it('shows the template’s content, keeps what is written, and never writes the template', async () => {
    const before = await sha256(fixture.imagePath);
    const { path, format } = await fixture.provider.create(await fixture.makeRequest());

    await run('qemu-io', ['-f', format, '-c', 'write -P 0x77 4096 65536', path]);
    const { stdout } = await run('qemu-io', [
      ...['-f', format],
      ...['-c', 'read -P 0x77 4096 65536', '-c', 'read -P 0x74 0 1', path],
    ]);

    expect(stdout).not.to.include('verification failed');
    expect(await sha256(fixture.imagePath)).to.equal(before);
  });

  it('counts the blocks that it takes, not the size that a guest sees', async () => {
    const rootfs = await fixture.provider.create(await fixture.makeRequest());
    const empty = await fixture.provider.sizeBytes(rootfs);

    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 8M', rootfs.path]);
    const written = await fixture.provider.sizeBytes(rootfs);

    expect(empty).to.be.within(1, 1024 * 1024);
    expect(written - empty).to.be.within(8 * 1024 * 1024, 9 * 1024 * 1024);
  });

  it('is refused where a sandbox has a disk already, which stays as it is', async () => {
    const request = await fixture.makeRequest();
    const { path } = await fixture.provider.create(request);
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 64k', path]);
    const before = await sha256(path);

    const error = await fixture.provider.create(request).catch((thrown: unknown) => thrown);

    expect(error).to.be.an('error');
    expect(await sha256(path)).to.equal(before);
  });

  it('is refused on a full disk, and leaves nothing there', async () => {
    const request = await fixture.makeRequest();
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', request.directory]);
    try {
      const error = await fixture.provider.create(request).catch((thrown: unknown) => thrown);

      expect(hasReason(error, 'HOST_DISK_FULL')).to.equal(true);
      expect(await fixture.leftovers(request)).to.deep.equal([]);
    } finally {
      await run('umount', [request.directory]);
    }
  });
});

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
