/** Conversations with programs in fake guests: over pauses, restarts of the agent, and ends of the sandbox. */
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import type { ProgramEvent } from '../../agent/sandbox/conversation.js';
import { shuttingDown } from '../../agent/sandbox/errors.js';
import { CALLS_PER_SANDBOX_MAX, STREAMS_PER_SANDBOX_MAX } from '../../agent/sandbox/sandbox.js';
import { PROCESS_LIMITS } from '../../lib/guest/process-limits.js';
import { Requests, spec } from '../support/conversation.js';
import { eventually } from '../support/eventually.js';
import { createOptions, FakeHost } from '../support/fake-host.js';
import { reasonOf } from '../support/rejection.js';

const ID = 'sandbox1';

describe('programs of a sandbox', () => {
  let fake: FakeHost;
  let abort: AbortController;

  beforeEach(async () => {
    fake = await FakeHost.open();
    abort = new AbortController();
    await fake.manager.create(createOptions(), abort.signal);
  });

  afterEach(async () => {
    abort.abort(new Error('the test is over'));
    await fake[Symbol.asyncDispose]();
  });

  it('tell what they do, in order, and how they end', async () => {
    const requests = new Requests().start(ID, spec('cat')).stdin('one ').stdin('two').closeStdin();

    const told = await record(converse(requests));

    expect(told.text).to.equal('one two');
    expect(told.kinds[0]).to.equal('started');
    expect(told.exitCode).to.equal(0);
  });

  it('go on for their caller over pauses and resumes', async () => {
    const requests = new Requests().start(ID, spec('seq', '200000'));
    const reference = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('');
    const told = new Told();
    const done = told.take(converse(requests));

    for (let round = 1; round <= 4; round += 1) {
      const before = told.length;
      await eventually(() => expect(told.length > before || told.isDone).to.equal(true));
      await pauseAndResume(2 * round);
    }
    await done;

    expect(told.text === reference).to.equal(true);
  }).timeout(60_000);

  it('get each piece of input once, however often a pause comes in between', async () => {
    const requests = new Requests().start(ID, spec('cat'));
    const told = new Told();
    const done = told.take(converse(requests));
    await eventually(() => expect(told.kinds).to.deep.equal(['started']));
    let expected = '';

    for (let round = 1; round <= 5; round += 1) {
      const pausing = pauseAndResume(2 * round);
      for (let piece = 0; piece < 20; piece += 1) {
        const text = `${round}.${piece} `;
        requests.stdin(text);
        expected += text;
      }
      await pausing;
    }
    requests.closeStdin();
    await done;

    expect(told.text).to.equal(expected);
  }).timeout(60_000);

  it('wait for a caller who takes nothing for long after a resume', async () => {
    const events = converse(new Requests().start(ID, spec('seq', '400000')));
    const told = new Told();
    for (let taken = 0; taken < 4; taken += 1) {
      const { value } = await events.next();
      if (value) told.add(value);
    }

    await pauseAndResume(2);
    await setTimeout(PROCESS_LIMITS.holderReturnMs + 2000);
    await told.take(events);

    expect([told.hasGap, told.exitCode]).to.deep.equal([false, 0]);
  }).timeout(90_000);

  it('let go of a caller who leaves while the sandbox is paused', async () => {
    const events = converse(new Requests().start(ID, spec('cat')));
    await events.next();
    await fake.manager.pause(ID, 2);
    const reason = reasonOf(events.next());

    abort.abort(shuttingDown());

    expect(await reason).to.equal('SHUTTING_DOWN');
    abort = new AbortController();
  });

  it('leave their caller waiting while the sandbox is paused', async () => {
    const requests = new Requests().start(ID, spec('cat')).stdin('a');
    const told = new Told();
    const done = told.take(converse(requests));
    await eventually(() => expect(told.text).to.equal('a'));

    await fake.manager.pause(ID, 2);
    requests.stdin('b').closeStdin();
    await fake.manager.resume(ID, 3, false);
    await done;

    expect(told.text).to.equal('ab');
  });

  it('end for their caller when the paused sandbox is deleted', async () => {
    const events = converse(new Requests().start(ID, spec('cat')));
    await events.next();
    await fake.manager.pause(ID, 2);
    const reason = reasonOf(events.next());

    await fake.manager.destroy(ID, 3);

    expect(await reason).to.equal('SANDBOX_NOT_FOUND');
  });

  it('are gone after a cold resume', async () => {
    const events = converse(new Requests().start(ID, spec('cat')));
    await events.next();
    const reason = reasonOf(events.next());

    await fake.manager.pause(ID, 2);
    await fake.manager.resume(ID, 3, true);

    expect(await reason).to.equal('PROCESS_NOT_FOUND');
  });

  it('can be followed further after a restart of the agent, without loss', async () => {
    const told = new Told();
    const breaking = reasonOf(told.take(converse(new Requests().start(ID, spec('tick', '5')))));
    await eventually(() => expect(told.text.length).to.be.greaterThan(20));
    fake.manager.endStreams();
    expect(await breaking).to.equal('SHUTTING_DOWN');
    await fake.restart();

    const request = { sandboxId: ID, processId: told.processId, offset: told.length };
    const further = told.take(fake.manager.programs.follow(request, abort.signal));
    further.catch(() => undefined);
    const before = told.length;
    await eventually(() => expect(told.length).to.be.greaterThan(before + 20));

    const lines = told.text.split('\n').slice(0, -1);
    expect(told.hasGap).to.equal(false);
    expect(new Set(lines).size).to.equal(lines.length);
  });

  it('live on when their caller leaves, and are listed until they end', async () => {
    const events = converse(new Requests().start(ID, spec('cat')));
    const { value } = await events.next();
    await events.return();
    const processId = value?.processId ?? '';

    const [listed] = await fake.manager.programs.list(ID, abort.signal);
    expect(listed).to.include({ processId, cmd: 'cat', exit: undefined });

    const signal = { sandboxId: ID, processId, signal: 15 };
    await fake.manager.programs.sendSignal(signal, abort.signal);
    await eventually(async () => {
      const [ended] = await fake.manager.programs.list(ID, abort.signal);
      expect(ended?.exit).to.include({ exitCode: 143, signal: 'SIGTERM' });
    });
  });

  it('start in the background and take input from anybody', async () => {
    const { programs } = fake.manager;
    const { processId } = await programs.start(
      { sandboxId: ID, process: spec('cat') },
      abort.signal,
    );
    const target = { sandboxId: ID, processId };
    await programs.sendInput({ ...target, input: Buffer.from('hello') }, abort.signal);
    await programs.closeStdin(ID, processId, abort.signal);

    const told = await record(programs.follow({ ...target, offset: undefined }, abort.signal));
    expect([told.text, told.exitCode]).to.deep.equal(['hello', 0]);

    const late = programs.sendInput({ ...target, input: Buffer.from('x') }, abort.signal);
    expect(await reasonOf(late)).to.equal('PROCESS_STATE');
  });

  it('start in the background also when a pause comes in between', async () => {
    for (let round = 1; round <= 12; round += 1) {
      const starting = fake.manager.programs.start(
        { sandboxId: ID, process: spec('cat') },
        abort.signal,
      );
      await setTimeout(round);
      await pauseAndResume(2 * round);

      expect(await starting).to.include({ cmd: 'cat', exit: undefined });
    }
  }).timeout(30_000);

  it('keep their sandbox from its inactivity timeout', async () => {
    await fake.manager.setTimeout(ID, { timeoutSec: 1, pauseOnTimeout: false });
    const events = converse(new Requests().start(ID, spec('cat')));
    await events.next();
    const [sandbox] = fake.live();

    await setTimeout(1500);
    expect(sandbox?.expired()).to.equal(false);
    await events.return();

    await eventually(() => expect(fake.live()[0]?.entry.phase).not.to.equal('running'));
  });

  it('are not started by messages out of order', async () => {
    const stdin = { $case: 'stdin', value: Buffer.from('x') } as const;
    const start = { $case: 'start', value: spec('cat') } as const;
    const early = new Requests().push(stdin, ID);
    const twice = new Requests().start(ID, spec('cat')).push(start);
    const moved = new Requests().start(ID, spec('cat')).push(stdin, 'sandbox2');
    const none = new Requests().end();

    for (const requests of [early, twice, moved, none]) {
      expect(await reasonOf(record(converse(requests)))).to.equal('INVALID_REQUEST');
    }
  });

  it('refuse input after its end', async () => {
    const requests = new Requests().start(ID, spec('sleep', '60')).closeStdin().stdin('late');

    expect(await reasonOf(record(converse(requests)))).to.equal('PROCESS_STATE');
  });

  it('are all typed to at the same time', async () => {
    const requests = Array.from({ length: 2 * CALLS_PER_SANDBOX_MAX }, () =>
      new Requests().start(ID, spec('cat')),
    );
    const open = requests.map((one) => ({ told: new Told(), events: converse(one) }));
    const done = open.map(({ told, events }) => told.take(events));
    await eventually(() => {
      for (const { told } of open) expect(told.kinds).to.deep.equal(['started']);
    });

    for (const one of requests) one.stdin('typed').closeStdin();
    await Promise.all(done);

    expect(new Set(open.map(({ told }) => told.text))).to.deep.equal(new Set(['typed']));
  }).timeout(30_000);

  it('have a limit on their streams that is told', async () => {
    const { programs } = fake.manager;
    const { processId } = await programs.start(
      { sandboxId: ID, process: spec('cat') },
      abort.signal,
    );
    const request = { sandboxId: ID, processId, offset: undefined };
    const open = Array.from({ length: STREAMS_PER_SANDBOX_MAX }, () =>
      programs.follow(request, abort.signal),
    );
    await Promise.all(open.map((events) => events.next()));

    const one = programs.follow(request, abort.signal);
    expect(await reasonOf(one.next())).to.equal('STREAM_LIMIT');

    await open[0]?.return();
    const another = programs.follow(request, abort.signal);
    expect((await another.next()).value?.event.kind).to.equal('started');
  });

  function converse(requests: Requests): AsyncGenerator<ProgramEvent, void, void> {
    return fake.manager.programs.converse(requests, abort.signal);
  }

  async function pauseAndResume(generation: number): Promise<void> {
    await fake.manager.pause(ID, generation);
    await fake.manager.resume(ID, generation + 1, false);
  }
});

/** What the events of a program have told so far. */
class Told {
  readonly kinds: string[] = [];
  processId = '';
  length = 0;
  hasGap = false;
  isDone = false;
  exitCode: number | undefined;
  readonly #pieces: Buffer[] = [];

  get text(): string {
    return Buffer.concat(this.#pieces).toString();
  }

  async take(events: AsyncIterable<ProgramEvent>): Promise<void> {
    for await (const event of events) this.add(event);
    this.isDone = true;
  }

  add({ processId, event }: ProgramEvent): void {
    this.processId = processId;
    this.kinds.push(event.kind);
    if (event.kind === 'exited') this.exitCode = event.exit.exitCode;
    if (event.kind !== 'output') return;
    this.hasGap ||= event.offset !== this.length;
    this.length += event.data.length;
    this.#pieces.push(event.data);
  }
}

async function record(events: AsyncIterable<ProgramEvent>): Promise<Told> {
  const told = new Told();
  await told.take(events);
  return told;
}
