/** The launched programs that every guest daemon must have, as one suite. */
import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { expect } from 'chai';
import type { LaunchRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import { Code, type Reason } from '../../lib/errors/index.js';
import { type CollectedOutput, collectOutput } from '../support/collect-output.js';
import { eventually } from '../support/eventually.js';
import { rejectionOf } from '../support/rejection.js';
import { callOptions, connectGuest, type GuestCalls, initializeGuest } from './guest-calls.js';
import type { GuestDaemonFixture } from './guest-daemon.js';

const TOKEN = 'token-of-a-sandbox-0123456789';
const KEPT_BYTES = 1024 * 1024;
/** What is kept, and what is on its way to a holder who takes nothing. */
const HELD_BYTES_MAX = 4 * KEPT_BYTES;
const SEQ_LAST = 300_000;
const { SIGTERM, SIGKILL, SIGSTOP, SIGCONT } = constants.signals;

export function describeGuestProcesses(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<GuestDaemonFixture>,
): void {
  describe(`launched programs of the guest daemon ${name}`, () => {
    let fixture: GuestDaemonFixture;
    let calls: GuestCalls;
    let launches = 0;
    let processId = '';
    const options = callOptions(TOKEN);

    before(async function () {
      fixture = await createFixture(this);
      calls = connectGuest(fixture.target);
      await initializeGuest(calls, TOKEN);
    });

    after(async () => {
      calls?.close();
      await fixture?.close();
    });

    beforeEach(() => {
      launches += 1;
      processId = `process${launches}`;
    });

    function requestOf(cmd: string, args: string[], fields: Partial<LaunchRequest> = {}) {
      const rest = { env: {}, cwd: '', user: '', timeoutMs: 0n, pty: undefined, holderId: '' };
      return { processId, cmd, args, ...rest, closeStdin: false, ...fields };
    }

    function launch(
      cmd: string,
      args: string[] = [],
      fields: Partial<LaunchRequest> = {},
      signal?: AbortSignal,
    ) {
      return calls.processes.launch(requestOf(cmd, args, fields), callOptions(TOKEN, signal));
    }

    /** Launches a program and leaves it alone once it runs. */
    async function leave(cmd: string, args: string[] = [], fields: Partial<LaunchRequest> = {}) {
      return collectOutput(launch(cmd, args, fields), ({ pid }) => pid !== undefined);
    }

    function attach(offset?: bigint, holderId = '') {
      return calls.processes.attach(
        { processId, holderId, ...(offset ? { offset } : {}) },
        options,
      );
    }

    const send = (text: string, sequence: number, writerId = 'writer') => {
      const piece = { processId, input: Buffer.from(text), writerId, sequence: BigInt(sequence) };
      return calls.processes.sendInput(piece, options);
    };
    const closeStdin = () => calls.processes.closeStdin({ processId }, options);
    const kill = (signal: number) => calls.processes.sendSignal({ processId, signal }, options);
    const resize = (cols: number, rows: number) =>
      calls.processes.resize({ processId, size: { cols, rows } }, options);

    async function listed() {
      const { processes } = await calls.processes.listProcesses({}, options);
      const process = processes.find((each) => each.processId === processId);
      if (!process) throw new Error('the process is not listed');
      return process;
    }

    async function printed(): Promise<bigint> {
      return (await listed()).nextOffset;
    }

    /** Resolves when the program prints nothing any more. */
    async function untilQuiet(): Promise<bigint> {
      let last = -1n;
      await eventually(async () => {
        const before = last;
        last = await printed();
        expect(last).to.equal(before);
      });
      return last;
    }

    it('gives input to a program as it comes, and its output with offsets', async () => {
      const collecting = collectOutput(launch('cat'));
      await eventually(() => listed());

      await send('hello ', 1);
      await eventually(async () => expect(await printed()).to.equal(6n));
      await send('world', 2);
      await closeStdin();
      await closeStdin();

      const { text, firstOffset, exited } = await collecting;
      expect(text).to.equal('hello world');
      expect(firstOffset).to.equal(0n);
      expect(exited).to.include({ exitCode: 0, signal: '', timedOut: false });
      expect(exited?.durationMs).to.be.at.least(0);
    });

    it('loses nothing of a long output for its holder', async () => {
      const lines = Array.from({ length: SEQ_LAST }, (_, index) => `${index + 1}\n`).join('');

      const collected = await collectOutput(launch('seq', [String(SEQ_LAST)], { holderId: 'h' }));

      expect(hashOf(collected.bytes())).to.equal(hashOf(Buffer.from(lines)));
      expect(collected.nextOffset).to.equal(BigInt(lines.length));
    });

    it('keeps the outputs apart, and exit codes', async () => {
      const collected = await collectOutput(
        launch('sh', ['-c', 'echo out; echo err >&2; exit 3'], { closeStdin: true }),
      );

      expect(collected.stderr).to.equal('err\n');
      expect(collected.text).to.have.length('out\nerr\n'.length).and.include('out\n');
      expect(collected.exited).to.include({ exitCode: 3 });
    });

    it('starts an id once, and gives its output from the start to who launches it again', async () => {
      const first = await collectOutput(launch('echo', ['once'], { closeStdin: true }));

      const second = await collectOutput(launch('echo', ['twice'], { closeStdin: true }));

      expect(second.text).to.equal('once\n');
      expect(second.pid).to.equal(first.pid);
      expect(second.exited).to.deep.equal(first.exited);
    });

    it('lets a program live on whose stream ends, and others follow it from an offset', async () => {
      await leave('cat');
      await send('0123456789', 1);
      await eventually(async () => expect(await printed()).to.equal(10n));
      const following = collectOutput(attach(4n));
      await send('abc', 2);
      await closeStdin();

      const { text, firstOffset, exited } = await following;

      expect(text).to.equal('456789abc');
      expect(firstOffset).to.equal(4n);
      expect(exited).to.include({ exitCode: 0 });
      expect((await collectOutput(attach())).text).to.equal('0123456789abc');
    });

    it('refuses an offset that is not kept, and says what is', async () => {
      await leave('seq', [String(SEQ_LAST)]);
      await eventually(async () => expect((await listed()).exited).not.to.equal(undefined));
      const { firstOffset, nextOffset } = await listed();

      const early = await rejectionOf(collectOutput(attach(1n)));
      const late = await rejectionOf(collectOutput(attach(nextOffset + 1n)));

      expect(nextOffset - firstOffset).to.equal(BigInt(KEPT_BYTES));
      const offsets = { first_offset: String(firstOffset), next_offset: String(nextOffset) };
      for (const error of [early, late]) {
        expect(error).to.include({ code: Code.OUT_OF_RANGE, reason: 'OUTPUT_OUT_OF_RANGE' });
        expect(error.metadata).to.include(offsets);
      }
      expect((await collectOutput(attach(firstOffset))).bytes()).to.have.length(KEPT_BYTES);
    });

    it('makes a program wait for its holder, and for nobody when the holder is gone', async () => {
      const cancel = new AbortController();
      const events = launch('yes', [], { holderId: 'holder' }, cancel.signal);
      const iterator = events[Symbol.asyncIterator]();
      await iterator.next();
      const held = await untilQuiet();
      expect(Number(held)).to.be.below(HELD_BYTES_MAX);

      cancel.abort();

      await rejectionOf(Promise.resolve(drain(iterator)));
      await eventually(async () => expect(Number(await printed())).to.be.above(Number(held)));
      await kill(SIGKILL);
    });

    it('takes each piece of input once, by its writer and number', async () => {
      await leave('cat');
      await send('a', 1);
      await send('a', 1);
      await send('b', 2, 'other');
      await send('x', 2, 'other');
      await send('c', 3);
      await send('x', 2);
      await closeStdin();
      await send('c', 3);

      expect((await collectOutput(attach())).text).to.equal('abc');
    });

    it('lets input wait that nobody reads, until the program has ended', async () => {
      await leave('sleep', ['300']);
      await send('x'.repeat(KEPT_BYTES), 1);
      const waiting = rejectionOf(send('x'.repeat(KEPT_BYTES), 2));
      await listed();

      await kill(SIGKILL);

      expect(await waiting).to.include({ reason: 'PROCESS_STATE' });
    });

    it('ends a program by a signal', async () => {
      await leave('sleep', ['300']);
      const following = collectOutput(attach());

      await kill(SIGTERM);

      const { exited } = await following;
      expect(exited).to.include({ exitCode: 128 + SIGTERM, signal: 'SIGTERM', timedOut: false });
      expect((await listed()).exited).to.deep.equal(exited);
    });

    it('stops a program and lets it go on', async () => {
      await leave('yes');

      await kill(SIGSTOP);
      const stopped = await untilQuiet();
      await kill(SIGCONT);

      await eventually(async () => expect(Number(await printed())).to.be.above(Number(stopped)));
      await kill(SIGKILL);
    });

    it('ends a program whose time is over', async () => {
      const { exited } = await collectOutput(launch('sleep', ['300'], { timeoutMs: 200n }));

      expect(exited).to.include({ exitCode: 128 + SIGKILL, signal: 'SIGKILL', timedOut: true });
    });

    it('lists what runs and what has ended', async () => {
      const { pid } = await leave('sleep', ['300'], { user: 'nobody', cwd: '/' });
      const running = await listed();
      await kill(SIGKILL);
      await eventually(async () => expect((await listed()).exited).not.to.equal(undefined));

      expect(running).to.deep.include({ processId, pid, cmd: 'sleep', args: ['300'] });
      expect(running).to.include({ user: 'nobody', cwd: '/', pty: false, exited: undefined });
      expect(Number(running.startedAtNs / 1_000_000n)).to.be.closeTo(Date.now(), 60_000);
    });

    const absent = { code: Code.NOT_FOUND, reason: 'PROCESS_NOT_FOUND' } as const;
    const state = { code: Code.FAILED_PRECONDITION, reason: 'PROCESS_STATE' } as const;
    const unknown: [string, () => Promise<unknown>][] = [
      ['a follower', () => collectOutput(attach())],
      ['input', () => send('x', 1)],
      ['the end of input', () => closeStdin()],
      ['a signal', () => kill(SIGTERM)],
      ['a size', () => resize(80, 24)],
    ];
    for (const [what, call] of unknown) {
      it(`refuses ${what} for a process that is unknown`, async () => {
        expect(await rejectionOf(call())).to.include(absent);
      });
    }

    it('refuses what an ended program cannot take', async () => {
      await collectOutput(launch('true'));

      for (const call of [send('x', 1), kill(SIGTERM)]) {
        expect(await rejectionOf(call)).to.include(state);
      }
    });

    it('refuses input behind the end of the input', async () => {
      await leave('sleep', ['300'], { closeStdin: true });

      expect(await rejectionOf(send('x', 1))).to.include(state);
      await kill(SIGKILL);
    });

    it('refuses the size of a terminal that there is not', async () => {
      await leave('sleep', ['300']);

      expect(await rejectionOf(resize(80, 24))).to.include(state);
      await kill(SIGKILL);
    });

    const unstartable: [string, () => ReturnType<typeof launch>, Code, Reason][] = [
      ['program', () => launch('no-such-program'), Code.NOT_FOUND, 'COMMAND_NOT_FOUND'],
      [
        'user',
        () => launch('true', [], { user: 'no-such-user' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'working directory',
        () => launch('true', [], { cwd: '/no/such' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
    ];
    for (const [what, start, code, reason] of unstartable) {
      it(`refuses a ${what} that there is not, and keeps nothing of it`, async () => {
        expect(await rejectionOf(collectOutput(start()))).to.include({ code, reason });
        expect(await rejectionOf(collectOutput(attach()))).to.include(absent);
      });
    }

    describe('with a terminal', () => {
      const pty = { cols: 80, rows: 24 };

      const shows = (text: string) => (collected: CollectedOutput) => collected.text.includes(text);

      it('echoes what is typed, and gives it to the program line by line', async () => {
        await leave('cat', [], { pty });
        await send('typed\r', 1);

        const { text } = await collectOutput(attach(), shows('typed\r\ntyped\r\n'));

        expect(text).to.equal('typed\r\ntyped\r\n');
        expect((await listed()).pty).to.equal(true);
        await kill(SIGKILL);
      });

      it('ends the input by ^D', async () => {
        await leave('cat', [], { pty });
        await send('line\n\u0004', 1);

        const { exited } = await collectOutput(attach());

        expect(exited).to.include({ exitCode: 0 });
      });

      it('interrupts the program by ^C', async () => {
        await leave('sleep', ['300'], { pty });
        await send('\u0003', 1);

        const { exited } = await collectOutput(attach());

        expect(exited).to.include({ exitCode: 130, signal: 'SIGINT' });
      });

      it('has the size that it was given, and the one that it is given later', async () => {
        await leave('sh', ['-c', 'stty size; cat; stty size'], { pty });
        await collectOutput(attach(), shows('24 80\r\n'));
        await resize(100, 30);
        await send('\u0004', 1);

        const { text } = await collectOutput(attach());

        expect(text).to.equal('24 80\r\n30 100\r\n');
      });
    });
  });
}

async function drain(iterator: AsyncIterator<unknown>): Promise<void> {
  while (!(await iterator.next()).done);
}

function hashOf(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
