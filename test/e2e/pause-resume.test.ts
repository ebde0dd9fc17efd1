/** A real machine that is paused and resumed many times: what its guest and its caller can tell of it. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Sandbox } from '../../gen/ts/wrenn/v1/sandbox.js';
import { connectionsTo } from '../support/connections.js';
import { newestGeneration } from '../support/kept-generations.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';
import { shell, shellRecord, startPython } from '../support/sandbox-shell.js';

const CYCLES = 25;
/** A chain out of a warm template is at its limit after 10 pauses, and after 10 more. */
const MERGES_MIN = 2;
const CHAIN_LENGTH_MAX = 10;
const MEMORY_MB = 256;
const VCPUS = 2;
const CLOCK_ERROR_MS_MAX = 1000;
const ENVD_PORT = 49_983;
const ZEROED_PAGES = 1024;

/** A process that keeps a word in its own memory, and counts. */
const KEEPER = `
import os, time
word, count = open('/proc/sys/kernel/random/uuid').read(), 0
open('/run/keeper.word', 'w').write(word)
open('/run/keeper.ready', 'w').close()
while True:
    count += 1
    with open('/run/keeper.next', 'w') as next: next.write(word)
    os.rename('/run/keeper.next', '/run/keeper.now')
    time.sleep(0.2)
`;

/** Files larger than what a pause writes by itself, one in memory and one on the disk. */
const FILL = `
mkdir -p /dev/shm/notes /root/notes
head -c 10000000 /dev/urandom > /dev/shm/file
head -c 4000000 /dev/urandom > /root/file
sync
setsid sleep 100000 </dev/null >/dev/null 2>&1 &
`;

/**
 * The disk is read around the guest's cache, which is memory. Neither the kernel's own processes nor
 * those of this session are listed.
 */
const OBSERVE = `
echo wall $(date +%s%3N)
echo memory $(sha256sum < /dev/shm/file)
echo disk $(dd if=/root/file iflag=direct bs=1M 2>/dev/null | sha256sum)
self=$(($(ps -o sid= -p $$)))
echo processes $(ps -eo sid=,pid=,ppid=,args= | awk -v self=$self '$1 != self && $2 != 2 && $3 != 2')
rm -f /run/keeper.now; until [ -s /run/keeper.now ]; do sleep 0.1; done
echo keeper $(cmp /run/keeper.now /run/keeper.word && echo same)
echo vcpus $(nproc)
echo total $(sed -n 's/^MemTotal: *//p' /proc/meminfo)
echo blocks $(cat /sys/devices/system/memory/memory*/online | grep -c 1)
echo blockbytes $((0x$(cat /sys/devices/system/memory/block_size_bytes)))
echo template $(cat /run/wrenn/.WRENN_TEMPLATE_ID)
echo hostname $(hostname) $(cat /etc/machine-id)
echo peers $(ss -Htn state established "sport = :${ENVD_PORT}" | awk '{print $4}')
`;

/** What was seen once after a resume. */
interface Observation {
  sandbox: Sandbox;
  guest: Record<string, string>;
  /** Bounds of the host's clock around the guest's. */
  askedAtMs: number;
  answeredAtMs: number;
  /** The agent's ends of its connections to the guest, and to where the guest was before. */
  connections: string[];
  oldConnections: string[];
}

describe('a real machine that is paused and resumed', function () {
  this.timeout(400_000);
  let platform: TestPlatform;
  let first: Observation;
  const observations: Observation[] = [];
  const chains: { builds: number; layers: number; listed: number }[] = [];
  const notes: { name: string; content: string }[] = [];

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
    const { sandboxId } = await platform.client.sandboxes.create({
      ...{ vcpus: VCPUS, memoryMb: MEMORY_MB },
    });
    await shell(platform.client, sandboxId, FILL);
    const keeper = { path: '/run/keeper.py', program: KEEPER, readyPath: '/run/keeper.ready' };
    await startPython(platform.client, sandboxId, keeper);
    first = await observe(await platform.get(sandboxId));
    for (let cycle = 0; cycle < CYCLES; cycle += 1) await pauseAndResume(sandboxId);
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  const pauseAndResume = async (sandboxId: string) => {
    await writeNote(sandboxId, `note-${notes.length}`);
    const { guestIp } = await platform.get(sandboxId);
    await platform.client.sandboxes.pause(sandboxId);
    const { memory, disk } = await newestGeneration(platform.snapshotsFolder, sandboxId);
    const listed = (await platform.client.sandboxes.generations(sandboxId)).length;
    chains.push({ builds: memory.builds.length, layers: disk.layers.length, listed });
    const { sandbox } = await platform.client.sandboxes.resume(sandboxId);
    if (!sandbox) throw new Error('a resume answers with its sandbox');
    observations.push(await observe(sandbox, guestIp));
  };

  /** Writes a note into memory and on the disk. */
  const writeNote = async (sandboxId: string, name: string) => {
    const content = randomBytes(16).toString('hex');
    notes.push({ name, content });
    const write = `for folder in /dev/shm /root; do echo ${content} > $folder/notes/${name}; done; sync`;
    await shell(platform.client, sandboxId, write);
  };

  const observe = async (sandbox: Sandbox, oldGuestIp?: string): Promise<Observation> => {
    const askedAtMs = Date.now();
    const guest = await shellRecord(platform.client, sandbox.sandboxId, OBSERVE);
    const answeredAtMs = Date.now();
    const agent = platform.pid('agent');
    const connections = await connectionsTo(agent, sandbox.guestIp);
    const oldConnections = oldGuestIp ? await connectionsTo(agent, oldGuestIp) : [];
    return { sandbox, guest, askedAtMs, answeredAtMs, connections, oldConnections };
  };

  /** What the guest said under a name after each resume. */
  const each = (name: string) => observations.map(({ guest }) => guest[name]);

  const always = (name: string) => Array.from({ length: CYCLES }, () => first.guest[name]);

  it('has its files in memory and on the disk, and its processes, after each of 25 resumes', () => {
    expect(first.guest.processes).to.contain('keeper.py').and.contain('sleep 100000');
    for (const name of ['memory', 'disk', 'processes']) {
      expect(first.guest[name], name).to.match(/\w/);
      expect(each(name), name).to.deep.equal(always(name));
    }
    expect(each('keeper')).to.deep.equal(Array.from({ length: CYCLES }, () => 'same'));
  });

  it('has merged its chain at least twice meanwhile, and never had a longer one', () => {
    for (const kind of ['builds', 'layers'] as const) {
      const lengths = chains.map((chain) => chain[kind]);
      const merges = lengths.filter((length, index) => length < (lengths[index - 1] ?? 0));
      expect(merges, lengths.join()).to.have.length.of.at.least(MERGES_MIN);
      expect(Math.max(...lengths), kind).to.be.at.most(CHAIN_LENGTH_MAX);
    }
    expect(chains.map(({ listed }) => listed)).to.satisfy((listed: number[]) =>
      listed.every((length, index) => length > (listed[index - 1] ?? 0)),
    );
  });

  it('has what was written before, between and after pauses, in memory and on the disk', async () => {
    const { sandboxId } = first.sandbox;
    await writeNote(sandboxId, 'note-after');
    await shell(platform.client, sandboxId, 'echo 3 > /proc/sys/vm/drop_caches');
    const expected = Object.fromEntries(notes.map(({ name, content }) => [name, content]));
    for (const folder of ['/dev/shm', '/root']) {
      const read = `cd ${folder}/notes; for note in *; do echo $note $(cat $note); done`;
      const found = await shellRecord(platform.client, sandboxId, read);
      expect(found, folder).to.deep.equal(expected);
    }
  });

  it('has the wall clock of the host within a second after each resume', () => {
    for (const { guest, askedAtMs, answeredAtMs } of observations) {
      expect(Number(guest.wall)).to.be.within(
        askedAtMs - CLOCK_ERROR_MS_MAX,
        answeredAtMs + CLOCK_ERROR_MS_MAX,
      );
    }
  });

  it('has the template that it was started from, after each resume', () => {
    expect(each('template')).to.deep.equal(Array.from({ length: CYCLES }, () => 'minimal'));
    for (const { sandbox } of observations) expect(sandbox.template).to.equal('minimal');
  });

  it('has the processors and the memory that the API tells, after each resume', () => {
    expect(each('total')).to.deep.equal(always('total'));
    for (const { sandbox, guest } of observations) {
      expect(sandbox).to.include({ vcpus: VCPUS, memoryMb: MEMORY_MB });
      expect(Number(guest.vcpus)).to.equal(sandbox.vcpus);
      const totalMb = (Number(guest.blocks) * Number(guest.blockbytes)) / 1024 ** 2;
      expect(totalMb).to.equal(sandbox.memoryMb);
    }
  });

  it('is the same machine after each resume: its name and its id stay', () => {
    expect(first.guest.hostname).to.match(/^[a-z0-9]+ [a-f0-9]{32}$/);
    expect(each('hostname')).to.deep.equal(always('hostname'));
  });

  it('is reached over connections that were made after the resume, and none of before', () => {
    const seen = new Set(first.connections);
    for (const { sandbox, guest, connections, oldConnections } of observations) {
      expect(connections.length).to.be.greaterThan(0);
      expect(connections.filter((address) => seen.has(address))).to.deep.equal([]);
      expect(oldConnections).to.deep.equal([]);
      const peers = guest.peers?.split(' ') ?? [];
      expect(new Set(peers.map((peer) => peer.split(':')[0]))).to.deep.equal(
        new Set([sandbox.hostIp]),
      );
      for (const address of connections) seen.add(address);
    }
  });

  it('has pages that its guest zeroed still zero after the second and the third resume', async () => {
    const { sandboxId } = await platform.client.sandboxes.create({ memoryMb: MEMORY_MB });
    const zeroer = { path: '/run/zeroer.py', program: ZEROER, readyPath: '/run/zeroer.ready' };
    await startPython(platform.client, sandboxId, zeroer);
    const again = async () => {
      await platform.client.sandboxes.pause(sandboxId);
      await platform.client.sandboxes.resume(sandboxId);
    };
    const ask = (command: string) => shell(platform.client, sandboxId, askZeroer(command));
    expect(await ask('check')).to.equal(`0 zero of ${ZEROED_PAGES}\n`);
    await again();
    expect(await ask('check')).to.equal(`0 zero of ${ZEROED_PAGES}\n`);
    await ask('zero');
    for (const _resume of ['second', 'third']) {
      await again();
      expect(await ask('check')).to.equal(`${ZEROED_PAGES} zero of ${ZEROED_PAGES}\n`);
    }
  });

  it('leaves nothing of its generations behind when it is deleted', async () => {
    await platform.expectNothingLeft();
  });
});

/** A process that fills pages, zeroes them in place when it is asked to, and tells how many are zero. */
const ZEROER = `
import mmap, os
PAGES, SIZE = ${ZEROED_PAGES}, 4096
memory = mmap.mmap(-1, PAGES * SIZE)
memory[:] = b'\\xa5' * (PAGES * SIZE)
os.mkfifo('/run/zeroer.in'); os.mkfifo('/run/zeroer.out')
open('/run/zeroer.ready', 'w').close()
while True:
    with open('/run/zeroer.in') as question: command = question.read().strip()
    if command == 'zero': memory[:] = bytes(PAGES * SIZE)
    zero = sum(memory[at:at + SIZE] == bytes(SIZE) for at in range(0, PAGES * SIZE, SIZE))
    with open('/run/zeroer.out', 'w') as answer: answer.write(f'{zero} zero of {PAGES}\\n')
`;

function askZeroer(command: string): string {
  return `echo ${command} > /run/zeroer.in; cat /run/zeroer.out`;
}
