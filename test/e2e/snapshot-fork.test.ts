/** Copies of a real machine: what they share, where they part, and what none of them has of another. */
import { expect } from 'chai';
import type { ForkResult, Sandbox } from '../../clients/typescript/index.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';
import { shell, shellRecord, startPython } from '../support/sandbox-shell.js';

const MEMORY_MB = 256;
const CHILDREN = 3;
/** Steps that the writer has made before it is copied, and makes at least afterwards. */
const STEPS_MIN = 50;
/** A step may be half done at the instant of a copy. */
const STEP_ERROR_MAX = 1;

/**
 * Each step writes the same record first to a file in memory and then, around the guest's cache, to
 * one on the disk. A record holds a time in nanoseconds: two machines that have the same one have
 * it from before they parted.
 */
const WRITER = `
import mmap, os, time
SLOT, SLOTS = 512, 20000
memory = os.open('/dev/shm/journal', os.O_RDWR | os.O_CREAT)
disk = os.open('/root/journal', os.O_RDWR | os.O_CREAT)
os.write(disk, bytes(SLOT * SLOTS)); os.fsync(disk); os.close(disk)
disk = os.open('/root/journal', os.O_RDWR | os.O_DIRECT | os.O_SYNC)
record = mmap.mmap(-1, 4096)
view = memoryview(record)[:SLOT]
open('/run/writer.pid', 'w').write(str(os.getpid()))
for step in range(SLOTS):
    record[:20] = b'%19d\\n' % time.monotonic_ns()
    os.pwrite(memory, record[:20], step * 20)
    os.pwrite(disk, view, step * SLOT)
    if step == ${STEPS_MIN}: open('/run/writer.ready', 'w').close()
    time.sleep(0.01)
`;

/** Both journals of a writer that stands still meanwhile. */
const READ_JOURNALS = `
writer=$(cat /run/writer.pid)
kill -STOP $writer
until grep -q '^State:.*T' /proc/$writer/status; do sleep 0.05; done
echo memory $(cat /dev/shm/journal)
echo disk $(dd if=/root/journal iflag=direct bs=1M 2>/dev/null | tr -d '\\0')
kill -CONT $writer
`;

const IDENTITY = `
echo machine $(cat /etc/machine-id)
echo hostname $(hostname)
echo random $(head -c 16 /dev/urandom | sha256sum)
echo uuid $(cat /proc/sys/kernel/random/uuid)
echo token $(cat /run/wrenn/envd-token)
echo sandbox $(cat /run/wrenn/.WRENN_SANDBOX)
`;

interface Journals {
  memory: string[];
  disk: string[];
}

describe('copies of a real machine', function () {
  this.timeout(400_000);
  let platform: TestPlatform;
  let parentId: string;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
    ({ sandboxId: parentId } = await platform.client.sandboxes.create({ memoryMb: MEMORY_MB }));
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  const sh = (sandboxId: string, script: string) => shell(platform.client, sandboxId, script);

  const journalsOf = async (sandboxId: string): Promise<Journals> => {
    const { memory = '', disk = '' } = await shellRecord(platform.client, sandboxId, READ_JOURNALS);
    return { memory: memory.split(' '), disk: disk.split(' ') };
  };

  const identityOf = (sandboxId: string) => shellRecord(platform.client, sandboxId, IDENTITY);

  const fork = async (sandboxId: string, count: number): Promise<Sandbox[]> => {
    const { results } = await platform.client.sandboxes.fork(sandboxId, count);
    expect(results).to.have.length(count);
    return results.map(requireCopy);
  };

  const remove = async (ids: readonly string[]) => {
    for (const id of ids) await platform.client.sandboxes.delete(id);
  };

  /** No two have anything of what tells machines apart in common. */
  const expectDifferent = (identities: readonly Record<string, string>[]) => {
    for (const name of Object.keys(identities[0] ?? {})) {
      const values = identities.map((identity) => identity[name]);
      for (const value of values) expect(value, name).to.match(/\w/);
      expect(new Set(values), `${name}: ${values.join(', ')}`).to.have.property(
        'size',
        identities.length,
      );
    }
  };

  describe('that is forked while it writes to memory and disk', () => {
    let children: Sandbox[];
    let parent: Journals;
    let copies: Journals[];

    before(async () => {
      const writer = { path: '/run/writer.py', program: WRITER, readyPath: '/run/writer.ready' };
      await startPython(platform.client, parentId, writer);
      children = await fork(parentId, CHILDREN);
      copies = [];
      for (const { sandboxId } of children) copies.push(await journalsOf(sandboxId));
      parent = await journalsOf(parentId);
    });

    after(async () => {
      await remove((children ?? []).map(({ sandboxId }) => sandboxId));
      await sh(parentId, 'kill $(cat /run/writer.pid)');
    });

    it('have memory and disk of the same step', () => {
      for (const { memory, disk } of [parent, ...copies]) {
        expect(memory.length - disk.length).to.be.within(0, STEP_ERROR_MAX);
        expect(disk).to.deep.equal(memory.slice(0, disk.length));
      }
    });

    it('start all at one instant, which is one of their parent', () => {
      const instants = copies.flatMap((copy, index) =>
        [parent, ...copies.slice(index + 1)].flatMap((other) => [
          commonLength(copy.memory, other.memory),
          commonLength(copy.disk, other.disk),
        ]),
      );
      expect(Math.min(...instants)).to.be.at.least(STEPS_MIN);
      expect(Math.max(...instants) - Math.min(...instants), instants.join()).to.be.at.most(
        STEP_ERROR_MAX,
      );
    });

    it('go their own ways afterwards, and so does their parent', async () => {
      const before = commonLength(parent.memory, copies[0]?.memory ?? []);
      for (const { memory } of [parent, ...copies]) {
        expect(memory.length).to.be.greaterThan(before);
      }
      const ids = [parentId, ...children.map(({ sandboxId }) => sandboxId)];
      for (const id of ids) await sh(id, `echo ${id} | tee /dev/shm/own > /root/own; sync`);
      for (const id of ids) {
        expect(await sh(id, 'cat /dev/shm/own; dd if=/root/own 2>/dev/null')).to.equal(
          `${id}\n${id}\n`,
        );
      }
    });

    it('have another id, name, token and other random numbers each, and not their parent’s', async () => {
      const identities = [];
      for (const id of [parentId, ...children.map(({ sandboxId }) => sandboxId)]) {
        const identity = await identityOf(id);
        expect(identity.hostname).to.equal(id);
        identities.push(identity);
      }
      expectDifferent(identities);
    });

    it('have the processors, the memory and the template of their parent', async () => {
      const { vcpus, memoryMb, template } = await platform.get(parentId);
      for (const child of children) {
        expect(child).to.include({ vcpus, memoryMb, template });
        expect(await sh(child.sandboxId, 'cat /run/wrenn/.WRENN_TEMPLATE_ID')).to.equal(template);
      }
    });
  });

  describe('of what stands still', () => {
    it('that is paused start from the pause, and it stays paused', async () => {
      await sh(parentId, 'echo before > /dev/shm/when; echo before > /root/when; sync');
      await platform.client.sandboxes.pause(parentId);
      const children = await fork(parentId, 1);
      expect((await platform.get(parentId)).pausedAt).not.to.equal(undefined);
      for (const { sandboxId } of children) {
        const read = 'cat /dev/shm/when; dd if=/root/when iflag=direct 2>/dev/null';
        expect(await sh(sandboxId, read)).to.equal('before\nbefore\n');
        await sh(sandboxId, 'echo child > /dev/shm/when; echo child > /root/when; sync');
      }
      await platform.client.sandboxes.resume(parentId);
      expect(await sh(parentId, 'cat /dev/shm/when /root/when')).to.equal('before\nbefore\n');
      await remove(children.map(({ sandboxId }) => sandboxId));
    });

    it('that was kept as a snapshot start from it, whatever became of it since', async () => {
      await sh(parentId, 'echo kept > /dev/shm/when; echo kept > /root/when; sync');
      const snapshot = await platform.client.snapshots.create(parentId, 'kept');
      await sh(parentId, 'echo later > /dev/shm/when; echo later > /root/when; sync');
      const copies: Sandbox[] = [];
      for (let number = 0; number < 2; number += 1) {
        copies.push(await platform.client.sandboxes.create({ template: 'kept' }));
      }
      const identities = [await identityOf(parentId)];
      for (const { sandboxId, vcpus, memoryMb } of copies) {
        expect({ vcpus, memoryMb }).to.deep.equal({
          vcpus: snapshot.vcpus,
          memoryMb: snapshot.memoryMb,
        });
        const read = 'cat /dev/shm/when; dd if=/root/when iflag=direct 2>/dev/null; nproc';
        expect(await sh(sandboxId, read)).to.equal(`kept\nkept\n${vcpus}\n`);
        identities.push(await identityOf(sandboxId));
      }
      expectDifferent(identities);
      expect(await sh(parentId, 'cat /dev/shm/when /root/when')).to.equal('later\nlater\n');
      await remove(copies.map(({ sandboxId }) => sandboxId));
      await platform.client.snapshots.delete(snapshot.snapshotId);
    });

    it('of a base template have nothing of each other', async () => {
      const created: Sandbox[] = [];
      for (let number = 0; number < 3; number += 1) {
        created.push(await platform.client.sandboxes.create({ memoryMb: MEMORY_MB }));
      }
      const identities = [];
      for (const { sandboxId } of created) identities.push(await identityOf(sandboxId));
      expectDifferent([await identityOf(parentId), ...identities]);
      await remove(created.map(({ sandboxId }) => sandboxId));
    });
  });

  describe('that are deleted', () => {
    it('leave nothing behind', async () => {
      await platform.expectNothingLeft();
    });
  });
});

function requireCopy({ result }: ForkResult): Sandbox {
  if (result?.$case === 'sandbox') return result.value;
  throw new Error(`a copy was not started: ${result?.value.message}`);
}

/** How many records two journals have in common from their beginning. */
function commonLength(one: readonly string[], other: readonly string[]): number {
  const parted = one.findIndex((record, index) => record !== other[index]);
  return parted < 0 ? one.length : parted;
}
