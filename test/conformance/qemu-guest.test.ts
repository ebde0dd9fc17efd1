/** What only a real guest can do to its VMM: print without end, and end by itself. */
import { expect } from 'chai';
import { GuestClient } from '../../agent/guest/guest-client.js';
import type { Machine, MachineSpec } from '../../agent/vmm/driver.js';
import { identifyProcess } from '../../agent/vmm/launch/process-table.js';
import { CONSOLE_BYTES } from '../../agent/vmm/qemu/command-line.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { QemuFixture } from './qemu-fixture.js';

const TEST_TIMEOUT_MS = 300_000;
const BOOT_TIMEOUT_MS = 180_000;
const COMMAND_TIMEOUT_SEC = 60;
const CONSOLE_TIMEOUT_MS = 120_000;

describe('guest of a QEMU machine', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let fixture: QemuFixture;
  let spec: MachineSpec;
  let machine: Machine;
  let guest: GuestClient;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    fixture = await QemuFixture.create();
  });

  beforeEach(async () => {
    spec = await fixture.makeSpec();
    const signal = new AbortController().signal;
    machine = await fixture.driver.boot(spec, async () => undefined, signal);
    const target = machine.guestTarget;
    guest = new GuestClient({ target, token: randomId(), log: silentLog });
    await guest.waitUntilReady(BOOT_TIMEOUT_MS, signal);
    const identity = { sandboxId: spec.sandboxId, templateId: 'minimal', env: {} };
    await guest.postInit(identity, signal);
  });

  afterEach(async () => {
    guest?.close();
    await machine?.destroy();
  });

  after(() => fixture?.close());

  function shell(script: string) {
    const command = {
      cmd: '/bin/sh',
      args: ['-c', script],
      timeoutSec: COMMAND_TIMEOUT_SEC,
      env: {},
      cwd: '/',
      user: '',
      stdin: Buffer.alloc(0),
    };
    return guest.exec(command, new AbortController().signal);
  }

  it('cannot make its console outgrow its bound', async () => {
    const bytes = CONSOLE_BYTES * 3;

    await shell(`yes | head -c ${bytes} >/dev/ttyS0; echo the-end >/dev/ttyS0`);

    await eventually(
      async () => {
        const output = await machine.readConsole();
        expect(output).to.include('the-end');
        expect(output).to.have.length.at.most(CONSOLE_BYTES);
      },
      { timeoutMs: CONSOLE_TIMEOUT_MS },
    );
    expect(await fixture.leftovers(spec))
      .to.include('file qmp.sock')
      .and.not.include('file console');
  });

  it('does not end its VMM by using all of its memory and writing a lot', async () => {
    const written = await shell(
      'head -c 300M /dev/urandom >/var/big && sync && head -c 100M /dev/urandom >/dev/shm/big',
    );

    expect(written.exitCode).to.equal(0);
    expect(await identifyProcess(machine.record.pid)).to.be.an('object');
  });

  for (const [title, key] of [
    ['panics', 'c'],
    ['reboots', 'b'],
    ['powers off', 'o'],
  ] as const) {
    it(`ends its VMM when it ${title}`, async () => {
      void shell(`echo ${key} >/proc/sysrq-trigger`).catch(() => undefined);

      const exit = await machine.exited;

      expect(exit.kind).to.equal('exited');
      await machine.destroy();
      expect(await fixture.leftovers(spec)).to.deep.equal([]);
    });
  }
});
