/** Programs of guests that break the contract in every way. */
import { expect } from 'chai';
import { GuestClient } from '../../agent/guest/guest-client.js';
import { FakeEnvd } from '../../agent/vmm/fake/envd.js';
import {
  OutputStream,
  type Process,
  type ProcessEvent,
  type ProcessEvent_Exited,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { silentLog } from '../../lib/log/log.js';
import { eventually } from '../support/eventually.js';
import { guestCommand } from '../support/guest-command.js';
import { drain, failureOf, UNREACHABLE, withHostileGuest } from '../support/hostile-client.js';
import { type AnswerStream, type Script, silent, writeForever } from '../support/hostile-guest.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const MIB = 1024 * 1024;
/** What a guest may make the agent hold, above what it held before. */
const MEMORY_MAX = 100 * MIB;
/** What may be on its way to a caller who takes nothing. */
const UNTAKEN_BYTES_MAX = 4 * MIB;
const MANY = 100_000;
const UINT64_MAX = 2n ** 64n - 1n;

describe('streams of a hostile guest', () => {
  const never = new AbortController().signal;

  const follow = (client: GuestClient, signal = never) =>
    client.processes.attach({ processId: 'p', offset: 0, holderId: '' }, signal);

  function expectUnreachable(error: unknown): void {
    expect(error).to.include(UNREACHABLE);
  }

  describe('of programs', () => {
    const sequences: [string, ProcessEvent[]][] = [
      ['two starts', [started(), started(), exited()]],
      ['two ends', [started(), exited(), exited()]],
      ['output after the end', [started(), exited(), output(0n)]],
      ['output before the start', [output(0n), started(), exited()]],
      ['no start', [exited()]],
      ['no end', [started(), output(0n)]],
      ['nothing', []],
      ['a gap', [started(), output(0n), output(2n), exited()]],
      ['an overlap', [started(), output(0n, 'ab'), output(1n), exited()]],
      ['a repetition', [started(), output(0n), output(0n), exited()]],
      ['another offset than was asked for', [started(), output(1n), exited()]],
      ['an impossible offset', [started(), output(UINT64_MAX), exited()]],
      ['empty output', [started(), output(0n, ''), exited()]],
      ['output of 1 MiB in a piece', [started(), output(0n, 'y'.repeat(MIB)), exited()]],
      ['output of 9 MiB in a piece', [started(), output(0n, 'y'.repeat(9 * MIB)), exited()]],
      ['output of no stream', [started(), output(0n, 'x', 77 as OutputStream), exited()]],
      ['an exit code above all', [started(), exited({ exitCode: 2 ** 31 - 1 })]],
      ['an exit code below all', [started(), exited({ exitCode: -1 })]],
      ['a signal that there is not', [started(), exited({ signal: 'SIG\u001b[2J' })]],
      ['no duration', [started(), exited({ durationMs: Number.NaN })]],
      ['an infinite duration', [started(), exited({ durationMs: Number.POSITIVE_INFINITY })]],
    ];
    for (const [what, events] of sequences) {
      it(`are given up with ${what}`, async () => {
        const processEvents: Script<ProcessEvent> = (call) => {
          for (const event of events) call.write(event);
          call.end();
        };

        await withHostileGuest({ processEvents }, async (client) => {
          expectUnreachable(await failureOf(drain(follow(client))));
        });
      });
    }

    it('are given up with unknown events for ever', async () => {
      const processEvents: Script<ProcessEvent> = (call) => {
        call.write(started());
        return writeForever(call, () => ({ event: undefined }));
      };

      await withHostileGuest({ processEvents }, async (client) => {
        expectUnreachable(await failureOf(drain(follow(client))));
      });
    });

    it('fill no memory when they are endless and nobody takes them', async function () {
      this.timeout(30_000);
      const before = process.memoryUsage().rss;

      let written = 0;
      const processEvents: Script<ProcessEvent> = (call) =>
        endlessOutput(call, () => {
          written += OUTPUT.length;
        });

      await withHostileGuest({ processEvents }, async (client) => {
        const cancel = new AbortController();
        const iterator = follow(client, cancel.signal)[Symbol.asyncIterator]();
        await iterator.next();
        let last = -1;
        await eventually(() => {
          const earlier = last;
          last = written;
          expect(written).to.equal(earlier);
        });
        expect(written).to.be.lessThan(UNTAKEN_BYTES_MAX);
        expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_MAX);
        cancel.abort();
        await failureOf(drainIterator(iterator));
      });
    });

    it('are given up for a large message that nobody takes, before it is read', async () => {
      let isGivenUp = false;
      const processEvents: Script<ProcessEvent> = (call) => {
        call.on('cancelled', () => {
          isGivenUp = true;
        });
        call.write(started());
        call.write(output(0n, 'y'.repeat(MIB)));
      };

      await withHostileGuest({ processEvents }, async (client) => {
        const iterator = follow(client)[Symbol.asyncIterator]();
        await iterator.next();

        await eventually(() => expect(isGivenUp).to.equal(true));
        expectUnreachable(await failureOf(iterator.next()));
      });
    });

    it('hold no memory of what was taken', async function () {
      this.timeout(60_000);
      const before = process.memoryUsage().rss;
      let taken = 0;

      await withHostileGuest({ processEvents: (call) => endlessOutput(call) }, async (client) => {
        for await (const event of follow(client)) {
          if (event.kind === 'output') taken += event.data.length;
          if (taken > 128 * MIB) break;
        }
      });

      expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_MAX);
    });

    const lists: [string, Process[]][] = [
      ['an id that no host gave', [processOf({ processId: '../../etc' })]],
      ['an empty id', [processOf({ processId: '' })]],
      ['one id twice', [processOf(), processOf()]],
      ['more processes than may be', processes(MANY)],
      ['more arguments than may be', [processOf({ args: Array(MANY).fill('a') })]],
      ['a text that is too long', [processOf({ cmd: 'x'.repeat(MIB) })]],
      ['output that ends before it begins', [processOf({ firstOffset: 2n, nextOffset: 1n })]],
      ['an impossible offset', [processOf({ nextOffset: UINT64_MAX })]],
      ['an impossible end', [processOf({ exited: exit({ exitCode: 1_000 }) })]],
    ];
    for (const [what, processes] of lists) {
      it(`are not listed with ${what}`, async () => {
        await withHostileGuest({ listProcesses: () => ({ processes }) }, async (client) => {
          expectUnreachable(await failureOf(client.processes.list(never)));
        });
      });
    }

    it('are given up when a signal is never answered', async () => {
      await withHostileGuest({ sendSignal: silent }, async (client) => {
        expectUnreachable(await failureOf(client.processes.sendSignal('p', 9, never)));
      });
    });

    it('keep nobody but the sender waiting when input is never answered', async () => {
      const answers = { sendInput: silent, listProcesses: () => ({ processes: [processOf()] }) };
      await withHostileGuest(answers, async (client) => {
        const cancel = new AbortController();
        const piece = { processId: 'p', input: Buffer.alloc(MIB), writerId: 'w' };
        const sending = [1, 2, 3, 4].map((sequence) =>
          failureOf(client.processes.sendInput({ ...piece, sequence }, cancel.signal)),
        );

        const listed = await client.processes.list(never);
        const reason = new Error('gone');
        cancel.abort(reason);

        expect(listed).to.have.length(1);
        for (const error of await Promise.all(sending)) expect(error).to.equal(reason);
      });
    });
  });

  it('keep no other sandbox of the agent waiting', async function () {
    this.timeout(30_000);
    await using directory = await temporaryDirectoryOf();
    const envd = new FakeEnvd(new FaultPlan());
    await envd.listen(`${directory.path}/envd.sock`);
    const target = `unix:${directory.path}/envd.sock`;
    const other = new GuestClient({ target, token: 'token-of-another', log: silentLog });
    const identity = { sandboxId: 'other', templateId: 'minimal', env: {} };
    await other.postInit(identity, never);

    await withHostileGuest({ processEvents: (call) => endlessOutput(call) }, async (client) => {
      const cancel = new AbortController();
      const taking = Array.from({ length: 8 }, () =>
        failureOf(drain(follow(client, cancel.signal))),
      );
      for (let call = 0; call < 10; call += 1) {
        const { stdout } = await other.exec(guestCommand('echo', [String(call)]), never);
        expect(stdout.toString()).to.equal(`${call}\n`);
      }
      cancel.abort();
      await Promise.all(taking);
    });

    other.close();
    envd.close();
  });
});

const OUTPUT = Buffer.alloc(32 * 1024, 'y');

function endlessOutput(
  call: AnswerStream<ProcessEvent>,
  onWrite: () => void = () => undefined,
): Promise<void> {
  let offset = 0n;
  call.write(started());
  return writeForever<ProcessEvent>(call, () => {
    const value = { stream: OutputStream.OUTPUT_STREAM_STDOUT, offset, data: OUTPUT };
    offset += BigInt(OUTPUT.length);
    onWrite();
    return { event: { $case: 'output', value } };
  });
}

function started(): ProcessEvent {
  return { event: { $case: 'started', value: { pid: 1 } } };
}

function output(
  offset: bigint,
  text = 'x',
  stream = OutputStream.OUTPUT_STREAM_STDOUT,
): ProcessEvent {
  return { event: { $case: 'output', value: { stream, offset, data: Buffer.from(text) } } };
}

function exit(fields: Partial<ProcessEvent_Exited> = {}): ProcessEvent_Exited {
  return { exitCode: 0, signal: '', timedOut: false, durationMs: 1, ...fields };
}

function exited(fields: Partial<ProcessEvent_Exited> = {}): ProcessEvent {
  return { event: { $case: 'exited', value: exit(fields) } };
}

function processOf(fields: Partial<Process> = {}): Process {
  return {
    processId: 'p',
    pid: 1,
    cmd: 'true',
    args: [],
    user: 'root',
    cwd: '/',
    pty: false,
    startedAtNs: 1n,
    exited: undefined,
    firstOffset: 0n,
    nextOffset: 0n,
    ...fields,
  };
}

function processes(count: number): Process[] {
  return Array.from({ length: count }, (_, index) => processOf({ processId: `p${index}` }));
}

async function temporaryDirectoryOf() {
  const directory = await temporaryDirectory();
  return { path: directory.path, [Symbol.asyncDispose]: () => directory.remove() };
}

async function drainIterator(iterator: AsyncIterator<unknown>): Promise<void> {
  while (!(await iterator.next()).done);
}
