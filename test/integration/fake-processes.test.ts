/** Programs of fake guests: they stand still with their machine, and go on in a restored one. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { FakeEnvd } from '../../agent/vmm/fake/envd.js';
import type { LaunchRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import {
  callOptions,
  connectGuest,
  type GuestCalls,
  initializeGuest,
} from '../conformance/guest-calls.js';
import { type CollectedOutput, collectOutput } from '../support/collect-output.js';
import { eventually } from '../support/eventually.js';
import { rejectionOf } from '../support/rejection.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const TOKEN = 'token-of-a-sandbox-0123456789';
const NEW_TOKEN = 'token-of-a-restored-sandbox-01';
const SEQ_LAST = 300_000;
const HOLDER = 'holder';
const SIGKILL = 9;

interface FakeGuest {
  envd: FakeEnvd;
  calls: GuestCalls;
  faults: FaultPlan;
  token: string;
}

describe('programs of a fake guest', () => {
  let directory: TemporaryDirectory;
  let guests: FakeGuest[];

  beforeEach(async () => {
    directory = await temporaryDirectory();
    guests = [];
  });

  afterEach(async () => {
    for (const { envd, calls } of guests) {
      calls.close();
      envd.close();
    }
    await directory.remove();
  });

  async function open(state?: string): Promise<FakeGuest> {
    const faults = new FaultPlan();
    const envd = new FakeEnvd(faults);
    const socketPath = join(directory.path, `envd${guests.length}.sock`);
    if (state !== undefined) envd.importState(state);
    await envd.listen(socketPath);
    const guest = { envd, faults, calls: connectGuest(`unix:${socketPath}`), token: TOKEN };
    guests.push(guest);
    if (state === undefined) await initializeGuest(guest.calls, TOKEN);
    return guest;
  }

  /** Stops a guest for good, and lets another one go on from there. */
  async function restore(guest: FakeGuest): Promise<FakeGuest> {
    guest.envd.freeze();
    const state = guest.envd.exportState();
    guest.envd.close();
    const restored = await open(state);
    await restored.calls.guest.postRestore(
      {
        identity: {
          sandboxId: 'sandboxoftest',
          templateId: 'minimal',
          env: {},
          token: NEW_TOKEN,
          wallClockNs: BigInt(Date.now()) * 1_000_000n,
        },
        clone: false,
        keepEnv: true,
        machineId: '',
        entropy: randomBytes(64),
      },
      callOptions(TOKEN),
    );
    return { ...restored, token: NEW_TOKEN };
  }

  function launch(
    { calls, token }: FakeGuest,
    cmd: string,
    args: string[] = [],
    fields: Partial<LaunchRequest> = {},
  ) {
    const rest = { env: {}, cwd: '', user: '', timeoutMs: 0n, pty: undefined, holderId: '' };
    const request = { processId: 'process', cmd, args, ...rest, closeStdin: false, ...fields };
    return calls.processes.launch(request, callOptions(token));
  }

  function attach({ calls, token }: FakeGuest, offset?: bigint, holderId = '') {
    const from = offset === undefined ? {} : { offset };
    return calls.processes.attach({ processId: 'process', holderId, ...from }, callOptions(token));
  }

  function send({ calls, token }: FakeGuest, text: string, sequence: number) {
    const piece = { input: Buffer.from(text), writerId: 'writer', sequence: BigInt(sequence) };
    return calls.processes.sendInput({ processId: 'process', ...piece }, callOptions(token));
  }

  function closeStdin({ calls, token }: FakeGuest) {
    return calls.processes.closeStdin({ processId: 'process' }, callOptions(token));
  }

  function kill({ calls, token }: FakeGuest) {
    const request = { processId: 'process', signal: SIGKILL };
    return calls.processes.sendSignal(request, callOptions(token));
  }

  async function listed({ calls, token }: FakeGuest) {
    const { processes } = await calls.processes.listProcesses({}, callOptions(token));
    if (!processes[0]) throw new Error('no process is listed');
    return processes[0];
  }

  const started = ({ pid }: CollectedOutput) => pid !== undefined;
  const printed = (bytes: number) => (collected: CollectedOutput) =>
    collected.bytes().length >= bytes;

  it('go on where they were, and lose nothing for their holder', async () => {
    const before = await open();
    const lines = Array.from({ length: SEQ_LAST }, (_, index) => `${index + 1}\n`).join('');
    const iterator = launch(before, 'seq', [String(SEQ_LAST)], { holderId: HOLDER })[
      Symbol.asyncIterator
    ]();
    const taken: Buffer[] = [];
    while (taken.length < 3) {
      const { value } = await iterator.next();
      if (value?.event?.$case === 'output') taken.push(value.event.value.data);
    }

    const after = await restore(before);

    const first = Buffer.concat(taken);
    const rest = await collectOutput(attach(after, BigInt(first.length), HOLDER));
    expect(Buffer.concat([first, rest.bytes()]).equals(Buffer.from(lines))).to.equal(true);
    expect(rest.exited).to.include({ exitCode: 0 });
  });

  it('go on to wait for their holder, who loses nothing', async () => {
    const before = await open();
    await collectOutput(launch(before, 'yes', [], { holderId: HOLDER }), printed(10));
    const iterator = attach(before, undefined, HOLDER)[Symbol.asyncIterator]();
    await iterator.next();

    const after = await restore(before);

    const { firstOffset } = await listed(after);
    const held = await collectOutput(attach(after, firstOffset, HOLDER), printed(3_000_000));
    expect(held.bytes().equals(Buffer.alloc(held.bytes().length, 'y\n'))).to.equal(true);
    await kill(after);
  });

  it('have their input, and remember what they were sent', async () => {
    const before = await open();
    await collectOutput(launch(before, 'sh', ['-c', 'sleep 0.2; cat']), started);
    await send(before, 'before ', 1);

    const after = await restore(before);
    await send(after, 'before ', 1);
    await send(after, 'after', 2);
    await closeStdin(after);

    expect((await collectOutput(attach(after))).text).to.equal('before after');
  });

  it('have their terminal, with the line that is being typed', async () => {
    const before = await open();
    const pty = { cols: 100, rows: 30 };
    await collectOutput(launch(before, 'sh', ['-c', 'cat; stty size'], { pty }), started);
    await send(before, 'half', 1);

    const after = await restore(before);
    await send(after, ' line\r\u0004', 2);

    const { text } = await collectOutput(attach(after));
    expect(text).to.equal('half line\r\nhalf line\r\n30 100\r\n');
  });

  it("keep the guest's time", async () => {
    const before = await open();
    await collectOutput(launch(before, 'tick', ['1', '40']), printed(20));

    const after = await restore(before);

    const { text } = await collectOutput(attach(after));
    const lines = Array.from({ length: 40 }, (_, index) => `tick ${index + 1}\n`);
    expect(text).to.equal(lines.join(''));
  });

  it('are known after their end, with their output', async () => {
    const before = await open();
    const first = await collectOutput(launch(before, 'echo', ['done']));

    const after = await restore(before);

    const second = await collectOutput(attach(after));
    expect(second).to.deep.include({ text: 'done\n', pid: first.pid, exited: first.exited });
    expect(await rejectionOf(send(after, 'x', 1))).to.include({ reason: 'PROCESS_STATE' });
  });

  it('are killed by a restore when their state cannot be written down', async () => {
    const before = await open();
    await collectOutput(launch(before, 'sha256sum'), started);

    const after = await restore(before);

    const { exited } = await collectOutput(attach(after));
    expect(exited).to.include({ exitCode: 137, signal: 'SIGKILL' });
  });

  it('still have their time limit after a restore', async () => {
    const before = await open();
    await collectOutput(launch(before, 'sleep', ['300'], { timeoutMs: 300n }), started);

    const after = await restore(before);

    expect((await collectOutput(attach(after))).exited).to.include({ timedOut: true });
  });

  it('stand still with their machine, as calls do', async () => {
    const still = await open();
    const other = await open();
    await collectOutput(launch(still, 'tick', ['1']), printed(20));

    still.envd.freeze();
    const before = ringOf(still);
    let answered = false;
    const listing = listed(still).finally(() => {
      answered = true;
    });
    await collectOutput(launch(other, 'tick', ['1', '30']));
    expect(ringOf(still)).to.deep.equal(before);
    expect(answered).to.equal(false);
    still.envd.thaw();

    const { nextOffset } = await listing;
    await eventually(async () =>
      expect(Number((await listed(still)).nextOffset)).to.be.above(Number(nextOffset)),
    );
  });

  it('fail as planned', async () => {
    const guest = await open();
    guest.faults.failNext('guest.launch');

    expect(await rejectionOf(collectOutput(launch(guest, 'true')))).to.include({
      reason: 'INTERNAL',
    });
    expect((await collectOutput(launch(guest, 'true'))).exited).to.include({ exitCode: 0 });
  });

  function ringOf({ envd }: FakeGuest): unknown {
    return JSON.parse(envd.exportState()).processes.processes[0].known.ring;
  }
});
