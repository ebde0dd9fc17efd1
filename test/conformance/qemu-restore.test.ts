/** What restored QEMU machines do beyond the suite of all drivers: both kinds of memory, disks that fill up. */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { chmod, chown, rename, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { GuestClient } from '../../agent/guest/guest-client.js';
import { createMemoryProvider } from '../../agent/memory/lazy-provider.js';
import type { ServedMemory, ServeRequest } from '../../agent/memory/provider.js';
import type { Machine, MachineSpec, RestoreSpec } from '../../agent/vmm/driver.js';
import { hasReason } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { run } from '../../lib/process/run.js';
import { eventually } from '../support/eventually.js';
import { guestCommand } from '../support/guest-command.js';
import { requireNeed } from '../support/requirements.js';
import { failureOf, GUEST_READY_TIMEOUT_MS, never } from './machine-lab.js';
import { QemuFixture } from './qemu-fixture.js';

const TEST_TIMEOUT_MS = 2 * GUEST_READY_TIMEOUT_MS;
const COMMAND_TIMEOUT_SEC = 120;
const BLOCK_BYTES = 4096;
const MIB = 1024 * 1024;
const TOKEN = randomId(32);

/** What is left in the guest when it is saved. */
interface Traces {
  /** Process that runs. */
  pid: string;
  /** Hash of a file in memory. */
  digest: string;
  /** Hash of a file on the disk. */
  diskDigest: string;
}

describe('restored QEMU machine', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let fixture: QemuFixture;
  let origin: MachineSpec;
  let statePath: string;
  let memoryPath: string;
  let traces: Traces;
  const machines: Machine[] = [];
  const guests: GuestClient[] = [];
  const mounts: string[] = [];
  const served: ServedMemory[] = [];

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    fixture = await QemuFixture.create();
    origin = await fixture.makeSpec();
    const machine = keep(await fixture.driver.boot(origin, async () => undefined, never()));
    const guest = await ready(machine);
    await guest.postInit({ sandboxId: 'origin', templateId: 'minimal', env: {} }, never());
    traces = await leaveTraces(guest);
    await machine.stop();
    statePath = join(fixture.directory.path, 'vmstate');
    await machine.saveState(statePath);
    const copy = await fixture.copyMemory(origin, machine);
    if (copy.kind !== 'file') throw new Error('the fixture copies to a file');
    memoryPath = copy.path;
    await machine.destroy();
  });

  afterEach(async () => {
    for (const guest of guests.splice(0)) guest.close();
    for (const machine of machines.splice(0)) await machine.destroy();
    for (const memory of served.splice(0)) await memory.close();
    for (const path of mounts.splice(0)) await run('umount', [path]);
  });

  after(() => fixture?.close());

  function keep(machine: Machine): Machine {
    machines.push(machine);
    return machine;
  }

  async function ready({ guestTarget: target }: Machine): Promise<GuestClient> {
    const guest = new GuestClient({ target, token: TOKEN, log: silentLog });
    guests.push(guest);
    await guest.waitUntilReady(GUEST_READY_TIMEOUT_MS, never());
    return guest;
  }

  async function successor(): Promise<RestoreSpec> {
    const memory = { kind: 'file', path: memoryPath } as const;
    return { ...(await fixture.makeSuccessor(origin)), statePath, memory };
  }

  async function restore(
    spec: RestoreSpec,
  ): Promise<{ spec: RestoreSpec; machine: Machine; guest: GuestClient }> {
    const machine = keep(await fixture.driver.restore(spec, async () => undefined, never()));
    return { spec, machine, guest: await ready(machine) };
  }

  /** The memory as two files, so that no single one can be mapped. */
  function requestOf({ runDirectory, uid }: MachineSpec): ServeRequest {
    const half = (origin.memoryMb * MIB) / BLOCK_BYTES / 2;
    const memory = {
      sizeBytes: origin.memoryMb * MIB,
      paths: [memoryPath, memoryPath],
      runs: Uint32Array.of(0, half, 0, 0, half, half, 1, half),
      checksums: new Uint32Array(),
    };
    return { memory, runDirectory, uid };
  }

  async function restoreFromPages() {
    const spec = await successor();
    const memory = await createMemoryProvider().serve(requestOf(spec), async () => undefined);
    served.push(memory);
    return { memory, ...(await restore({ ...spec, memory: memory.backend })) };
  }

  async function expectTraces(guest: GuestClient): Promise<void> {
    expect(await shell(guest, `cat /proc/${traces.pid}/comm`)).to.equal('sleep');
    expect(await shell(guest, 'sha256sum </run/random')).to.equal(traces.digest);
  }

  it('goes on from a memory file, which stays as it is', async () => {
    const before = await digestOf(memoryPath);
    const { machine, guest } = await restore(await successor());

    await expectTraces(guest);
    await shell(guest, 'head -c 5M /dev/urandom >/run/more');
    await machine.stop();

    expect((await machine.locateMemory()).kind).to.equal('private');
    expect(await digestOf(memoryPath)).to.equal(before);
  });

  it('goes on from a page server, confined as ever', async () => {
    const { memory, spec, machine, guest } = await restoreFromPages();

    await expectTraces(guest);
    await machine.stop();

    expect(memory.backend.kind).to.equal('pages');
    expect(memory.statistics().faults).to.be.greaterThan(0);
    expect((await machine.locateMemory()).kind).to.equal('memfd');
    expect(statSync(`/proc/${machine.record.pid}`).uid).to.equal(spec.uid);
  });

  it('waits for its memory while no page server is there, and goes on with a new one', async () => {
    const { memory, spec, machine, guest } = await restoreFromPages();
    await memory.close();
    const waiting = expectTraces(guest);

    const adopted = await createMemoryProvider().adopt(
      requestOf(spec),
      memory.record,
      machine.record.pid,
    );
    served.push(adopted);

    await waiting;
  });

  it('goes on over layers from which another machine is made at the same time', async () => {
    const parent = await restore(await successor());
    await shell(parent.guest, 'echo common >/var/common && sync');
    await parent.machine.stop();
    const childState = join(fixture.directory.path, 'vmstate-child');
    await parent.machine.saveState(childState);
    const childMemory = await fixture.copyMemory(parent.spec, parent.machine);
    await parent.machine.switchDisk(await fixture.makeLayer(parent.spec));
    const childSpec = await fixture.makeSuccessor(parent.spec);
    await parent.machine.run();

    const child = await restore({ ...childSpec, statePath: childState, memory: childMemory });
    await shell(parent.guest, 'echo parent >/var/own && sync');
    await shell(child.guest, 'echo child >/var/own && sync');

    expect(await shell(parent.guest, 'cat /var/common /var/own')).to.equal('common\nparent');
    expect(await shell(child.guest, 'cat /var/common /var/own')).to.equal('common\nchild');
    await expectTraces(child.guest);
  });

  it('takes what its disk reads, and so the kernel writes, into memory that is not there yet', async () => {
    const { guest } = await restoreFromPages();

    await shell(guest, 'echo 3 >/proc/sys/vm/drop_caches');

    expect(await shell(guest, 'sha256sum </bin/bash')).to.equal(traces.diskDigest);
  });

  for (const [source, start] of [
    ['a memory file', async () => restore(await successor())],
    ['a page server', restoreFromPages],
  ] as const) {
    it(`may use all of its memory, and write a lot, when that came from ${source}`, async () => {
      const { machine, guest } = await start();

      await shell(guest, 'head -c 200M /dev/urandom >/var/big && sync');
      await shell(guest, 'head -c 80M /dev/urandom >/dev/shm/big');

      await expectTraces(guest);
      await machine.stop();
    });
  }

  it('is saved, runs on, and is saved again', async () => {
    const { machine, guest } = await restoreFromPages();
    const paths = [1, 2].map((count) => join(fixture.directory.path, `vmstate-${count}`));

    for (const path of paths) {
      await machine.stop();
      await machine.saveState(path);
      await machine.run();
      await expectTraces(guest);
    }

    const [first = '', second = ''] = await Promise.all(paths.map(digestOf));
    expect(first).not.to.equal(second);
  });

  it('runs on when its state cannot be saved', async () => {
    const { spec, machine, guest } = await restore(await successor());
    const full = join(fixture.directory.path, 'full');
    await mountSmall(full, '4k');
    await machine.stop();

    await chown(spec.runDirectory, 0, 0);
    await chmod(spec.runDirectory, 0o700);
    const unreachable = await failureOf(machine.saveState(join(full, 'vmstate')));
    await chown(spec.runDirectory, spec.uid, spec.uid);
    await machine.run();
    await expectTraces(guest);
    await machine.stop();
    const noRoom = await failureOf(machine.saveState(join(full, 'vmstate')));
    await machine.run();

    expect(hasReason(unreachable, 'VMM_FAILED')).to.equal(true);
    expect(hasReason(noRoom, 'HOST_DISK_FULL')).to.equal(true);
    await expectTraces(guest);
  });

  it('has its disk on the host’s when it is stopped', async () => {
    const { spec, machine, guest } = await restore(await successor());
    await shell(guest, 'head -c 20M /dev/urandom >/var/data && sync');

    await machine.stop();
    await fixture.crash(machine.record);
    // Until then it holds its locks.
    await machine.exited;

    const { stdout } = await run('qemu-img', ['check', '-f', 'qcow2', spec.rootfs.path]);
    expect(stdout).to.include('No errors were found');
  });

  it('writes to a new layer, which it could not see at its start', async () => {
    const { spec, machine, guest } = await restore(await successor());
    await shell(guest, 'echo below >/var/below && sync');
    await machine.stop();
    const layer = await fixture.makeLayer(spec);
    await machine.switchDisk(layer);
    const before = await digestOf(spec.rootfs.path);
    await machine.run();

    await shell(guest, 'head -c 5M /dev/urandom >/var/above && sync');

    expect(await machine.diskPath()).to.equal(layer.path);
    expect(await digestOf(spec.rootfs.path)).to.equal(before);
    expect(statSync(layer.path).size).to.be.greaterThan(5 * MIB);
    expect(await shell(guest, 'cat /var/below')).to.equal('below');
  });

  it('stops when the host’s disk is full, says so, and goes on when there is room', async () => {
    const spec = await successor();
    await mountSmall(dirname(spec.rootfs.path), '8m', spec.rootfs.path);
    const { machine, guest } = await restore(spec);
    let fullCount = 0;
    machine.onDiskFull = () => {
      fullCount += 1;
    };
    const writing = shell(guest, 'head -c 20M /dev/urandom >/var/data && sync && echo written');
    await eventually(async () => expect(fullCount).to.equal(1), { timeoutMs: 60_000 });

    machine.release();
    const recovered = await fixture.restartedDriver().recover(machine.record);
    if (!recovered) throw new Error('the machine was not found');
    keep(recovered);
    let fullAgain = false;
    recovered.onDiskFull = () => {
      fullAgain = true;
    };
    await eventually(async () => expect(fullAgain).to.equal(true));
    await run('mount', ['-o', 'remount,size=100m', dirname(spec.rootfs.path)]);
    await recovered.run();

    expect(await writing).to.equal('written');
  });

  it('is refused a memory file of another size', async () => {
    const spec = await successor();
    const short = join(fixture.directory.path, 'short');
    await run('cp', ['--sparse=always', memoryPath, short]);
    await truncate(short, (origin.memoryMb - 1) * MIB);

    const error = await failureOf(
      fixture.driver.restore(
        { ...spec, memory: { kind: 'file', path: short } },
        async () => undefined,
        never(),
      ),
    );

    expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
    expect(((error as Error).cause as Error).message).to.include('wrenn-memory');
    expect(await fixture.leftovers(spec)).to.deep.equal([]);
  });

  /** A file system of its own over a folder, with one of the folder's files in it. */
  async function mountSmall(folder: string, size: string, kept?: string): Promise<void> {
    const aside = join(fixture.directory.path, randomId());
    if (kept) await rename(kept, aside);
    await run('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${size},mode=711,X-mount.mkdir`,
      'tmpfs',
      folder,
    ]);
    mounts.push(folder);
    if (kept) await run('cp', ['--preserve=all', aside, kept]);
  }
});

async function leaveTraces(guest: GuestClient): Promise<Traces> {
  const pid = await shell(guest, 'nohup sleep 100000 >/dev/null 2>&1 & echo $!');
  await shell(guest, 'head -c 3M /dev/urandom >/run/random');
  const digest = await shell(guest, 'sha256sum </run/random');
  return { pid, digest, diskDigest: await shell(guest, 'sha256sum </bin/bash') };
}

async function shell(guest: GuestClient, script: string): Promise<string> {
  const fields = { timeoutSec: COMMAND_TIMEOUT_SEC };
  const { stdout, stderr, exitCode } = await guest.exec(
    guestCommand('sh', ['-c', script], fields),
    never(),
  );
  expect(stderr.toString()).to.equal('');
  expect(exitCode).to.equal(0);
  return stdout.toString().trim();
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
