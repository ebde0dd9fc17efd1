/** The host's disk is full: under a real guest that writes, and under a pause. */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { WrennApiError } from '../../clients/typescript/index.js';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';
import { shell } from '../support/sandbox-shell.js';
import type { SmallFilesystem } from '../support/small-filesystem.js';

const MIB = 1024 * 1024;
const MEMORY_MB = 256;
/** Room for a warm template, and for two machines that are paused. */
const DISK_MB = 700;
const WRITE_MB = 48;
/** Less than the guest writes, and than the memory that a pause writes. */
const LEFT_BYTES = 2 * MIB;
const SETTLE_TIMEOUT_MS = 60_000;

describe('a host whose disk is full', function () {
  this.timeout(400_000);
  let platform: TestPlatform;
  let disk: SmallFilesystem;
  let sandboxId: string;
  let otherId: string;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns', 'loop');
    platform = await TestPlatform.start({ stateMb: DISK_MB });
    disk = platform.stateDisk;
    const { sandboxes } = platform.client;
    ({ sandboxId } = await sandboxes.create({ memoryMb: MEMORY_MB }));
    ({ sandboxId: otherId } = await sandboxes.create({ memoryMb: MEMORY_MB }));
  });

  afterEach(async () => {
    await disk?.empty();
  });

  after(async () => {
    await disk?.empty();
    await platform?.[Symbol.asyncDispose]();
  });

  const sh = (id: string, script: string) => shell(platform.client, id, script);

  const failureOf = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof WrennApiError)) throw new Error(`not refused: ${String(error)}`);
    return { code: error.code, reason: error.reason };
  };

  const expectState = (id: string, stateReason: ErrorReason) =>
    eventually(
      async () => {
        const sandbox = await platform.get(id);
        expect({ state: sandbox.state, stateReason: sandbox.stateReason }).to.deep.equal({
          state: SandboxState.SANDBOX_STATE_RUNNING,
          stateReason,
        });
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, pauseMs: 200 },
    );

  /** Starts a write in the guest that the host has no room for, and waits until it stands still. */
  const writeUntilFull = async (id: string, path: string) => {
    await sh(id, `head -c ${WRITE_MB * MIB} /dev/urandom > /dev/shm/file`);
    await disk.fill(LEFT_BYTES);
    await sh(
      id,
      `setsid sh -c 'dd if=/dev/shm/file of=${path} bs=1M conv=fsync && touch /run/written' \\
         </dev/null >/dev/null 2>&1 &`,
    );
    await expectState(id, ErrorReason.ERROR_REASON_DISK_FULL);
  };

  /** The write is complete, as the disk itself has it. */
  const expectWritten = async (id: string, path: string) => {
    await eventually(() => sh(id, 'ls /run/written'), { timeoutMs: SETTLE_TIMEOUT_MS });
    const compare = `dd if=${path} iflag=direct bs=1M 2>/dev/null | cmp - /dev/shm/file && echo same`;
    expect(await sh(id, compare)).to.equal('same\n');
    await sh(id, `rm /run/written /dev/shm/file`);
  };

  it('lets the guest that writes stand still, says so, and harms no other', async () => {
    await writeUntilFull(sandboxId, '/root/written');
    expect(await failureOf(platform.client.exec(sandboxId, { cmd: 'true' }))).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      reason: 'DISK_FULL',
    });
    expect(await sh(otherId, 'echo alive')).to.equal('alive\n');
    await expectState(otherId, ErrorReason.ERROR_REASON_UNSPECIFIED);

    await disk.empty();
    await expectState(sandboxId, ErrorReason.ERROR_REASON_UNSPECIFIED);
    await expectWritten(sandboxId, '/root/written');
  });

  it('refuses to pause a guest that stands still, which loses nothing', async () => {
    await writeUntilFull(sandboxId, '/root/again');
    await disk.fill(0);
    for (const _time of ['once', 'again']) {
      expect(await failureOf(platform.client.sandboxes.pause(sandboxId))).to.deep.equal({
        code: status.RESOURCE_EXHAUSTED,
        reason: 'HOST_DISK_FULL',
      });
    }
    await expectState(sandboxId, ErrorReason.ERROR_REASON_DISK_FULL);

    await disk.empty();
    await expectState(sandboxId, ErrorReason.ERROR_REASON_UNSPECIFIED);
    await expectWritten(sandboxId, '/root/again');
  });

  it('refuses to pause a guest that runs on, and pauses it when there is room', async () => {
    await sh(otherId, `head -c ${WRITE_MB * MIB} /dev/urandom > /dev/shm/file`);
    const hash = await sh(otherId, 'sha256sum < /dev/shm/file');
    await disk.fill(LEFT_BYTES);
    expect(await failureOf(platform.client.sandboxes.pause(otherId))).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      reason: 'HOST_DISK_FULL',
    });
    expect(await sh(otherId, 'sha256sum < /dev/shm/file')).to.equal(hash);
    await expectState(otherId, ErrorReason.ERROR_REASON_UNSPECIFIED);

    await disk.empty();
    await platform.client.sandboxes.pause(otherId);
    await platform.client.sandboxes.verifyGeneration(otherId);
    await platform.client.sandboxes.resume(otherId);
    expect(await sh(otherId, 'sha256sum < /dev/shm/file')).to.equal(hash);
  });

  it('keeps nothing of what failed', async () => {
    await platform.expectNothingLeft();
  });
});
