/** PostRestore in a real guest: what only a kernel of its own can show. */
import { expect } from 'chai';
import { GuestClient, type GuestRestore } from '../../agent/guest/guest-client.js';
import type { Machine, MachineSpec } from '../../agent/vmm/driver.js';
import { randomId } from '../../lib/ids/random-id.js';
import { silentLog } from '../../lib/log/log.js';
import { guestCommand } from '../support/guest-command.js';
import { requireNeed } from '../support/requirements.js';
import { QemuFixture } from './qemu-fixture.js';

const TEST_TIMEOUT_MS = 300_000;
const BOOT_TIMEOUT_MS = 180_000;
const COMMAND_TIMEOUT_SEC = 60;
/** What a guest's clock may be off by. */
const CLOCK_TOLERANCE_MS = 1_000;
const MACHINE_ID = 'fedcba9876543210fedcba9876543210';

describe('PostRestore in a guest of QEMU', function () {
  this.timeout(TEST_TIMEOUT_MS);
  const never = new AbortController().signal;
  let fixture: QemuFixture;
  let spec: MachineSpec;
  let machine: Machine | undefined;
  let token = '';
  let guest: GuestClient;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    fixture = await QemuFixture.create();
    spec = await fixture.makeSpec();
    machine = await fixture.driver.boot(spec, async () => undefined, never);
    guest = client();
    await guest.waitUntilReady(BOOT_TIMEOUT_MS, never);
    await guest.postInit({ sandboxId: spec.sandboxId, templateId: 'minimal', env: {} }, never);
  });

  after(async () => {
    guest?.close();
    await machine?.destroy();
    await fixture?.close();
  });

  /** A client with a token of its own. */
  function client(): GuestClient {
    token = randomId();
    return new GuestClient({ target: machine?.guestTarget ?? '', token, log: silentLog });
  }

  /** As an agent does after a restore: a new connection, and a new token. */
  async function restore(fields: Partial<GuestRestore> = {}) {
    const oldToken = token;
    const before = guest;
    guest = client();
    const steps = await guest.postRestore(
      {
        identity: { sandboxId: spec.sandboxId, templateId: 'template-of-snapshot', env: {} },
        oldToken,
        keepEnv: true,
        clone: false,
        entropy: Buffer.alloc(64, 5),
        machineId: '',
        ...fields,
      },
      never,
    );
    before.close();
    return steps.map(({ name }) => name);
  }

  async function shell(script: string): Promise<string> {
    const fields = { timeoutSec: COMMAND_TIMEOUT_SEC };
    const result = await guest.exec(guestCommand('sh', ['-c', script], fields), never);
    expect(result.stderr.toString()).to.equal('');
    expect(result.exitCode).to.equal(0);
    return result.stdout.toString().trim();
  }

  async function expectRightClock(): Promise<void> {
    const before = Date.now();
    const guestMs = Number(await shell('date +%s%3N'));
    expect(guestMs).to.be.within(before - CLOCK_TOLERANCE_MS, Date.now() + CLOCK_TOLERANCE_MS);
  }

  it('finds a clock that PostInit has set', () => expectRightClock());

  for (const [what, seconds] of [
    ['an hour behind', -3_600],
    ['a year ahead', 31_536_000],
  ] as const) {
    it(`corrects a clock that is ${what}`, async () => {
      await shell(`date -s @$(($(date +%s) + ${seconds}))`);

      await restore();

      await expectRightClock();
    });
  }

  it('renews the randomness of the kernel', async () => {
    // The kernel refuses both to whoever may not, and the call would fail with the step.
    expect(await restore()).to.include.members(['wall_clock', 'entropy']);
  });

  it('leaves names to the one that was paused', async () => {
    await shell('hostname chosen');
    const machineId = await shell('cat /etc/machine-id');

    await restore();

    expect(await shell('hostname')).to.equal('chosen');
    expect(await shell('cat /etc/machine-id')).to.equal(machineId);
    expect(await shell('cat /run/wrenn/.WRENN_TEMPLATE_ID')).to.equal('template-of-snapshot');
  });

  it('gives a clone names of its own', async () => {
    const identity = { sandboxId: randomId(), templateId: 'other', env: {} };

    await restore({ clone: true, machineId: MACHINE_ID, identity });

    expect(await shell('hostname')).to.equal(identity.sandboxId);
    expect(await shell('cat /etc/machine-id')).to.equal(MACHINE_ID);
    expect(await shell('cat /run/wrenn/.WRENN_TEMPLATE_ID')).to.equal('other');
    expect(await shell('cat /run/wrenn/.WRENN_SANDBOX')).to.equal(identity.sandboxId);
  });

  it('lets live what runs in the background', async () => {
    const pid = await shell('nohup sleep 300 >/dev/null 2>&1 & echo $!');

    await restore();

    expect(await shell(`cat /proc/${pid}/comm`)).to.equal('sleep');
    await shell(`kill ${pid}`);
  });
});
