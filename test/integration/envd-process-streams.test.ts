/** Streams of launched programs that break and come back, and what they cost the daemon. */
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { credentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/envd/v1/process.js';
import { BYTES_IN_FLIGHT_MAX, RING_BYTES_MAX } from '../../lib/guest/output-ring.js';
import { createClient } from '../../lib/rpc/client.js';
import type { ServiceShape } from '../../lib/rpc/method.js';
import { type EnvdProcess, residentBytes, startEnvd, TOKEN } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { LaunchedPrograms, type LaunchedStream } from '../support/launched-programs.js';
import { reasonOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';

const MIB = 1024 * 1024;
const HOLDER = 'holder-of-a-test';
const RECONNECTS = 60;
/** HTTP/2 itself ends a connection on which very many calls are cancelled in a short time. */
const ATTACHES_PER_CONNECTION = 100;
const { SIGKILL } = constants.signals;

describe('envd streaming the output of launched programs', function () {
  this.timeout(120_000);

  let envd: EnvdProcess;
  let programs: LaunchedPrograms;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
    programs = new LaunchedPrograms(envd);
  });

  after(async () => {
    await envd?.stop();
  });

  it('gives the same bytes over random breaks within the ring', async () => {
    const processId = 'numbers';
    await programs.start({ processId, cmd: 'sh', args: ['-c', 'read go; seq 100000'] });
    await programs.input(processId, 'go\n');
    const reference = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join('');
    let received = '';
    for (let count = 0; count < RECONNECTS; count += 1) {
      // Again from a little before what has come in: those bytes must be the same.
      const offset = Math.max(0, received.length - Math.floor(Math.random() * 5_000));
      const stream = programs.attach(processId, offset);
      const { bytes } = await stream.take(Math.floor(Math.random() * 20_000));
      await stream.stop();
      expect(received.slice(offset, offset + bytes.length)).to.equal(
        bytes.subarray(0, received.length - offset).toString(),
      );
      received = received.slice(0, offset) + bytes.toString();
    }
    const { stdout, exited } = await programs.attach(processId, received.length).rest();

    expect(received + stdout === reference).to.equal(true);
    expect(exited).to.include({ exitCode: 0 });
  });

  it('stops a program whose holder does not read, and loses nothing', async () => {
    const stream = programs.launch({
      processId: 'held',
      holderId: HOLDER,
      cmd: 'seq',
      args: ['3000000'],
    });
    const { pid } = await stream.started();
    await eventually(async () => {
      expect(await readFile(`/proc/${pid}/wchan`, 'utf8')).to.match(/pipe/);
    });
    const { firstOffset, nextOffset } = await programs.find('held');
    expect(Number(nextOffset)).to.be.lessThan(3 * MIB);
    expect(Number(firstOffset)).to.be.at.most(Number(nextOffset));

    const { bytes } = await stream.rest();

    expect(bytes.length).to.equal(22_888_896);
    expect(bytes.subarray(-16).toString()).to.equal('2999999\n3000000\n');
  });

  it('lets a program run on when the stream of its holder ends', async () => {
    const stream = programs.launch({ processId: 'left', holderId: HOLDER, cmd: 'yes' });
    await stream.started();
    await stream.stop();
    const before = (await programs.find('left')).nextOffset;

    await eventually(async () => {
      const { nextOffset } = await programs.find('left');
      expect(Number(nextOffset - before)).to.be.greaterThan(2 * RING_BYTES_MAX);
    });
    await programs.signal('left', SIGKILL);
  });

  it('cuts off any other reader that falls behind', async () => {
    const stream = programs.launch({ processId: 'slow', cmd: 'yes' });
    await stream.started();
    await eventually(async () => {
      expect(Number((await programs.find('slow')).nextOffset)).to.be.greaterThan(50 * MIB);
    });

    expect(await reasonOf(stream.rest())).to.equal('OUTPUT_OUT_OF_RANGE');
    await programs.signal('slow', SIGKILL);
  });

  it('waits for a holder whose connection the restore of a snapshot broke', async () => {
    await using other = await startEnvd();
    const others = new LaunchedPrograms(other);
    const stream = others.launch({
      processId: 'paused',
      holderId: HOLDER,
      cmd: 'seq',
      args: ['1000000'],
    });
    const before = await stream.take(MIB);

    await postRestore(other);
    expect(await reasonOf(stream.rest())).not.to.equal('OK');
    const received = before.nextOffset - BYTES_IN_FLIGHT_MAX / 2;
    await eventually(async () => {
      const { pid } = await others.find('paused');
      expect(await readFile(`/proc/${pid}/wchan`, 'utf8')).to.match(/pipe/);
    });
    const { bytes, exited } = await others.attach('paused', received, HOLDER).rest();

    const whole = Buffer.concat([before.bytes.subarray(0, received), bytes]).toString();
    const reference = Array.from({ length: 1_000_000 }, (_, index) => `${index + 1}\n`).join('');
    expect(whole === reference).to.equal(true);
    expect(exited).to.include({ exitCode: 0 });
  });

  it('needs no more memory for output without end, held or not', async () => {
    const held = programs.launch({ processId: 'endlessheld', holderId: HOLDER, cmd: 'yes' });
    await held.started();
    await programs.start({ processId: 'endless', cmd: 'yes' });
    const first = (await programs.find('endless')).nextOffset;
    let before = 0;
    let largest = 0;

    await eventually(
      async () => {
        const written = Number((await programs.find('endless')).nextOffset - first);
        const resident = await residentBytes(envd.pid);
        if (written > 20 * MIB && before === 0) before = resident;
        if (before > 0) largest = Math.max(largest, resident);
        expect(written).to.be.greaterThan(300 * MIB);
      },
      { timeoutMs: 60_000 },
    );

    expect(largest - before).to.be.lessThan(48 * MIB);
    expect(Number((await programs.find('endlessheld')).nextOffset)).to.be.lessThan(3 * MIB);
    for (const processId of ['endless', 'endlessheld']) await programs.signal(processId, SIGKILL);
    await held.stop();
  });

  it('keeps nothing of streams that are gone', async () => {
    await programs.start({ processId: 'attached', cmd: 'sleep', args: ['300'] });
    await attachMany(100);
    const before = { fds: await openDescriptors(), bytes: await residentBytes(envd.pid) };

    await attachMany(1_000);

    await eventually(async () => expect(await openDescriptors()).to.be.at.most(before.fds + 2));
    expect((await residentBytes(envd.pid)) - before.bytes).to.be.lessThan(48 * MIB);
    await programs.signal('attached', SIGKILL);
  });

  /** Attaches so many times, some at one time, every other by a call that is cancelled. */
  async function attachMany(count: number): Promise<void> {
    for (let done = 0; done < count; done += ATTACHES_PER_CONNECTION) {
      const processes = connect(ProcessServiceService, envd.target);
      const others = new LaunchedPrograms({ processes, options: envd.options });
      for (let batch = 0; batch < ATTACHES_PER_CONNECTION; batch += 20) await attachBatch(others);
      processes.close();
    }
  }

  async function attachBatch(others: LaunchedPrograms): Promise<void> {
    const streams = Array.from({ length: 20 }, () => {
      const cancel = new AbortController();
      return { cancel, stream: others.attach('attached', 0, '', cancel.signal) };
    });
    await Promise.all(streams.map(({ stream }) => stream.started()));
    await Promise.all(
      streams.map(({ cancel, stream }, index) =>
        index % 2 === 0 ? stream.stop() : cancelled(cancel, stream),
      ),
    );
  }

  async function openDescriptors(): Promise<number> {
    return (await readdir(`/proc/${envd.pid}/fd`)).length;
  }
});

async function cancelled(cancel: AbortController, stream: LaunchedStream): Promise<void> {
  cancel.abort();
  await reasonOf(stream.rest());
}

/** A restore as the host does it: on a connection of its own, which ends all others. */
async function postRestore(envd: EnvdProcess): Promise<void> {
  const guest = connect(GuestServiceService, envd.target);
  const identity = {
    token: TOKEN,
    sandboxId: 'sandboxoftest',
    templateId: 'minimal',
    env: {},
    wallClockNs: 0n,
  };
  const entropy = Buffer.alloc(64, 1);
  await guest.postRestore(
    { identity, keepEnv: true, entropy, clone: false, machineId: '' },
    envd.options,
  );
  guest.close();
}

/** A client on a connection of its own. */
function connect<S extends ServiceShape>(service: S, target: string) {
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  return createClient(service, target, credentials.createInsecure(), options);
}
