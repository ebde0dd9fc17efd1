/**
 * Real machines whose memory is brought in as they touch it, while the agent
 * that brings it is killed, and with memory that is damaged on the disk.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { WrennApiError } from '../../clients/typescript/index.js';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { flipBits } from '../support/damage.js';
import { eventually } from '../support/eventually.js';
import { buildPath, newestGeneration } from '../support/kept-generations.js';
import { TestPlatform } from '../support/platform.js';
import { residentBytes } from '../support/process-memory.js';
import { requireNeed } from '../support/requirements.js';
import { shell, shellRecord, startPython } from '../support/sandbox-shell.js';

const MIB = 1024 * 1024;
const MEMORY_MB = 256;
const FILE_MB = 60;
/** What the reader has read at least when the agent is killed, and has still to read. */
const READ_BEFORE_BYTES = 8 * MIB;
const READ_AFTER_BYTES = 16 * MIB;
const RESTART_TIMEOUT_MS = 90_000;
const READ_TIMEOUT_MS = 120_000;
const KILLS = 6;
/** Longer than a pause or a resume takes on a quiet machine, so that some kills come after it. */
const PAUSE_MS_MAX = 600;
const RESUME_MS_MAX = 2000;
/** So many that the one in the middle lies far from all that a resume touches. */
const MARKER_PAGES = 4096;
const DAMAGED_PAGE = MARKER_PAGES / 2;

/** Reads a file in memory bit by bit, so that there is time to kill somebody meanwhile. */
const READER = `
import hashlib, time
digest, zero = hashlib.sha256(), 0
with open('/dev/shm/file', 'rb', buffering=0) as file:
    while chunk := file.read(131072):
        digest.update(chunk)
        zero += sum(chunk[at:at + 4096] == bytes(4096) for at in range(0, len(chunk), 4096))
        open('/run/reader.ready', 'w').close()
        time.sleep(0.02)
with open('/run/reader.result.new', 'w') as result: result.write(f'{digest.hexdigest()} {zero}')
import os; os.rename('/run/reader.result.new', '/run/reader.result')
`;

const HASHES = `
echo memory $(sha256sum < /dev/shm/kept)
echo disk $(dd if=/root/kept iflag=direct bs=1M 2>/dev/null | sha256sum)
echo process $(cat /proc/$(cat /run/sleeper.pid)/cmdline | tr '\\0' ' ')
`;

describe('memory that is brought in as it is touched', function () {
  this.timeout(400_000);
  let platform: TestPlatform;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  const sh = (sandboxId: string, script: string) => shell(platform.client, sandboxId, script);

  const create = async () => {
    const { sandboxId } = await platform.client.sandboxes.create({ memoryMb: MEMORY_MB });
    return sandboxId;
  };

  /** Kills the agent and waits until another one is there. */
  const killAgent = async () => {
    const pid = platform.pid('agent');
    platform.kill('agent');
    return async () => {
      await eventually(() => expect(platform.pid('agent')).not.to.equal(pid), {
        timeoutMs: RESTART_TIMEOUT_MS,
      });
    };
  };

  const failureOf = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof WrennApiError)) throw new Error(`not refused: ${String(error)}`);
    const { code, reason, metadata } = error;
    return { code, reason, artifact: metadata.artifact };
  };

  it('is read right, and never as zero, by a guest whose agent is killed meanwhile', async () => {
    const sandboxId = await create();
    const fill = `head -c ${FILE_MB * MIB} /dev/urandom > /dev/shm/file; sha256sum < /dev/shm/file`;
    const hash = (await sh(sandboxId, fill)).split(' ')[0];
    for (const _time of ['once', 'twice']) {
      await platform.client.sandboxes.pause(sandboxId);
      await platform.client.sandboxes.resume(sandboxId);
    }
    const { memory } = await newestGeneration(platform.snapshotsFolder, sandboxId);
    expect(memory.builds.length).to.be.at.least(2);
    expect((await platform.census())['fault descriptor']).not.to.deep.equal([]);

    const vmmPid = await platform.vmmPid(sandboxId);
    const reader = { path: '/run/reader.py', program: READER, readyPath: '/run/reader.ready' };
    const idleBytes = await residentBytes(vmmPid);
    await startPython(platform.client, sandboxId, reader);
    await eventually(async () =>
      expect((await residentBytes(vmmPid)) - idleBytes).to.be.at.least(READ_BEFORE_BYTES),
    );
    const restarted = await killAgent();
    const atKillBytes = await residentBytes(vmmPid);
    await restarted();

    const result = await eventually(() => sh(sandboxId, 'cat /run/reader.result'), {
      timeoutMs: READ_TIMEOUT_MS,
      pauseMs: 500,
    });
    expect(result).to.equal(`${hash} 0`);
    expect((await residentBytes(vmmPid)) - atKillBytes).to.be.at.least(READ_AFTER_BYTES);
    expect(await platform.vmmPid(sandboxId)).to.equal(vmmPid);
    await platform.client.sandboxes.delete(sandboxId);
  });

  it('is all there after the agent was killed at any moment of a pause or a resume', async () => {
    const sandboxId = await create();
    await sh(
      sandboxId,
      `head -c 4000000 /dev/urandom > /dev/shm/kept; head -c 4000000 /dev/urandom > /root/kept; sync
       setsid sleep 100000 </dev/null >/dev/null 2>&1 & echo $! > /run/sleeper.pid`,
    );
    const hashes = await shellRecord(platform.client, sandboxId, HASHES);
    const { sandboxes } = platform.client;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const isPause = kill % 2 === 0;
      if (!isPause) await sandboxes.pause(sandboxId);
      const delayMs = Math.random() * (isPause ? PAUSE_MS_MAX : RESUME_MS_MAX);
      const call = isPause ? sandboxes.pause(sandboxId) : sandboxes.resume(sandboxId);
      const settled = call.then(
        () => 'done',
        (error: unknown) => (error instanceof WrennApiError ? error.reason : String(error)),
      );
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      const restarted = await killAgent();
      const outcome = await settled;
      await restarted();
      const what = `${isPause ? 'pause' : 'resume'}, killed after ${delayMs} ms: ${outcome}`;
      await eventually(
        async () => {
          const { state } = await sandboxes.get(sandboxId);
          expect(state, what).to.be.oneOf([
            SandboxState.SANDBOX_STATE_RUNNING,
            SandboxState.SANDBOX_STATE_PAUSED,
          ]);
          await sandboxes.resume(sandboxId);
          await sh(sandboxId, 'true');
        },
        { timeoutMs: RESTART_TIMEOUT_MS, pauseMs: 200 },
      );
      const found = await shellRecord(platform.client, sandboxId, HASHES);
      expect(found, what).to.deep.equal(hashes);
    }
    await expectOnlyOwnThings(sandboxId);
    await sandboxes.delete(sandboxId);
  });

  /** Of all kills, nothing is on the machine but what the one running sandbox needs. */
  const expectOnlyOwnThings = async (sandboxId: string) => {
    await sh(sandboxId, 'true');
    await eventually(
      async () => {
        const census = await platform.census();
        const { id, memory, disk } = await newestGeneration(platform.snapshotsFolder, sandboxId);
        expect(census['ledger entry']).to.have.length(1);
        expect(census.namespace).to.have.length(1);
        expect(census.ref).to.deep.equal([`sandbox ${sandboxId}`]);
        expect(census.generation).to.deep.equal([id]);
        expect(memory.builds).to.include.members([...census['memory build']]);
        const ownLayers = census['disk layer'].filter((layer) => !disk.layers.includes(layer));
        expect(ownLayers).to.have.length(1);
      },
      { timeoutMs: RESTART_TIMEOUT_MS, pauseMs: 500 },
    );
  };

  describe('and is damaged on the disk', () => {
    /** A paused sandbox with a file on its disk, and pages of a marker in its memory. */
    const pausedWithMarker = async () => {
      const sandboxId = await create();
      await sh(
        sandboxId,
        `awk 'BEGIN { for (page = 0; page < ${MARKER_PAGES}; page++) printf "%-4095s\\n", "page " page }' \
           > /dev/shm/marker`,
      );
      await sh(sandboxId, 'echo content > /root/file; sync');
      await platform.client.sandboxes.pause(sandboxId);
      const { memory } = await newestGeneration(platform.snapshotsFolder, sandboxId);
      const build = memory.builds.at(-1) ?? '';
      return { sandboxId, build, path: buildPath(platform.snapshotsFolder, build) };
    };

    const stateOf = async (sandboxId: string) => {
      const { state, stateReason } = await platform.get(sandboxId);
      return { state, stateReason };
    };

    it('is DATA_LOSS with the name of the file, and a resume that needs it leaves the sandbox paused', async () => {
      const { sandboxId, build, path } = await pausedWithMarker();
      expect(await flipBits(path, () => true)).to.be.greaterThan(0);
      const dataLoss = {
        code: status.DATA_LOSS,
        reason: 'SNAPSHOT_DAMAGED',
        artifact: `memfile.${build}`,
      };
      const { sandboxes } = platform.client;
      expect(await failureOf(sandboxes.verifyGeneration(sandboxId))).to.deep.equal(dataLoss);
      for (const _time of ['once', 'again']) {
        expect(await failureOf(sandboxes.resume(sandboxId))).to.deep.equal(dataLoss);
        expect((await stateOf(sandboxId)).state).to.equal(SandboxState.SANDBOX_STATE_PAUSED);
      }

      const { sandbox } = await sandboxes.resume(sandboxId, { cold: true });
      expect(sandbox?.state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
      expect(await sh(sandboxId, 'cat /root/file; ls /dev/shm')).to.equal('content\n');
      await sandboxes.pause(sandboxId);
      await sandboxes.verifyGeneration(sandboxId);
      await sandboxes.resume(sandboxId);
      expect(await sh(sandboxId, 'cat /root/file')).to.equal('content\n');
      await sandboxes.delete(sandboxId);
    });

    it('is never read by a guest that touches it only later, which is paused again with that reason', async () => {
      const { sandboxId, build, path } = await pausedWithMarker();
      const page = Buffer.from(`page ${DAMAGED_PAGE} `);
      const isMarked = (block: Buffer) => block.subarray(0, page.length).equals(page);
      expect(await flipBits(path, isMarked)).to.equal(1);
      const { sandboxes } = platform.client;
      expect(await failureOf(sandboxes.verifyGeneration(sandboxId))).to.deep.equal({
        code: status.DATA_LOSS,
        reason: 'SNAPSHOT_DAMAGED',
        artifact: `memfile.${build}`,
      });
      await sandboxes.resume(sandboxId);
      const read = await sh(sandboxId, 'cat /dev/shm/marker').then(
        () => 'read',
        () => 'not read',
      );
      expect(read).to.equal('not read');
      await eventually(
        async () =>
          expect(await stateOf(sandboxId)).to.deep.equal({
            state: SandboxState.SANDBOX_STATE_PAUSED,
            stateReason: ErrorReason.ERROR_REASON_SNAPSHOT_DAMAGED,
          }),
        { timeoutMs: RESTART_TIMEOUT_MS },
      );
      await sandboxes.resume(sandboxId, { cold: true });
      expect(await sh(sandboxId, 'cat /root/file; ls /dev/shm')).to.equal('content\n');
      await sandboxes.delete(sandboxId);
    });

    it('can be deleted while the sandbox is paused', async () => {
      const { sandboxId, path } = await pausedWithMarker();
      await flipBits(path, () => true);
      await platform.client.sandboxes.delete(sandboxId);
      await platform.expectNothingLeft();
    });
  });
});
