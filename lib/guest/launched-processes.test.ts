import { expect } from 'chai';
import { eventually } from '../../test/support/eventually.js';
import { rejectionOf } from '../../test/support/rejection.js';
import { ScriptedTable } from '../../test/support/scripted-programs.js';
import { Code, type Reason, type WrennError } from '../errors/index.js';
import { RING_BYTES_MAX } from './output-ring.js';

const ALIVE_MS = 60_000;

describe('LaunchedProcesses', () => {
  let table: ScriptedTable;

  beforeEach(() => {
    table = new ScriptedTable();
  });

  it('tells start, output and end of a program', async () => {
    const stream = table.launch('a');
    expect(await stream.next()).to.deep.equal({ $case: 'started', value: { pid: 42 } });

    table.program().print('out');
    table.program().print('err', 'stderr');
    table.program().exit(3);

    const { text, exited } = await stream.rest();
    expect(text).to.equal('outerr');
    expect(exited).to.include({ exitCode: 3, signal: '', timedOut: false });
    expect(exited?.durationMs).to.be.at.least(0);
  });

  it('starts one program for an id, however often it is launched', async () => {
    const streams = [table.launch('a'), table.launch('a')];
    await Promise.all(streams.map((stream) => stream.next()));
    const third = table.launch('a');
    table.program().print('once');
    table.program().exit();

    for (const stream of [...streams, third]) expect((await stream.rest()).text).to.equal('once');
    expect(table.programs).to.have.length(1);
  });

  it('forgets an id whose program could not be started', async () => {
    const twice = [table.launch('a', { cmd: 'missing' }), table.launch('a', { cmd: 'missing' })];

    for (const stream of twice) await failsWith(stream.next(), 'COMMAND_NOT_FOUND');
    expect(table.list()).to.deep.equal([]);
    expect((await table.launch('a').next())?.$case).to.equal('started');
  });

  it('lets a program live whose launch is called off', async () => {
    const cancel = new AbortController();
    const stream = table.launch('a', {}, cancel.signal);
    const first = stream.next();
    cancel.abort(new Error('gone'));
    expect(await first.catch((error: Error) => error.message)).to.equal('gone');

    table.program().print('still here');
    table.program().exit();
    expect((await table.attach('a', 0).rest()).text).to.equal('still here');
  });

  it('makes a program that was being started at a restore wait for its holder', async () => {
    const cancel = new AbortController();
    const first = table.launch('a', { holderId: 'h' }, cancel.signal).next();
    table.processes.expectHoldersToReturn('another peer');
    cancel.abort(new Error('gone'));
    await rejectionOf(first);

    const printed = 'x'.repeat(50_000);
    for (let count = 0; count < 60; count += 1) table.program().print(printed);
    table.program().exit();
    await eventually(() => expect(table.program().takenBytes).to.be.greaterThan(0));

    const { text, exited } = await table.launch('a', { holderId: 'h' }).rest();
    expect(text.length).to.equal(60 * printed.length);
    expect(exited?.exitCode).to.equal(0);
  });

  it('goes on from any offset that is kept, and names what is kept for others', async () => {
    await table.launch('a').next();
    for (let count = 0; count < 30; count += 1) table.program().print(Buffer.alloc(50_000, 'x'));
    table.program().exit();
    await eventually(() => expect(table.list()[0]?.nextOffset).to.equal(1_500_000n));
    const first = 1_500_000 - RING_BYTES_MAX;

    expect((await table.attach('a').rest()).text.length).to.equal(RING_BYTES_MAX);
    expect((await table.attach('a', first + 7).rest()).text.length).to.equal(RING_BYTES_MAX - 7);
    expect((await table.attach('a', 1_500_000).rest()).text).to.equal('');
    for (const offset of [0, first - 1, 1_500_001, 2 ** 60]) {
      const error = await failsWith(table.attach('a', offset).next(), 'OUTPUT_OUT_OF_RANGE');
      expect(error.code).to.equal(Code.OUT_OF_RANGE);
      expect(error.metadata).to.include({
        first_offset: String(first),
        next_offset: '1500000',
      });
    }
  });

  it('signals and resizes what runs, and says so for what does not', async () => {
    await table.launch('a', { pty: { cols: 80, rows: 24 } }).next();
    await table.launch('b').next();
    const [withTerminal, without] = [await table.find('a'), await table.find('b')];

    withTerminal.signal(15);
    await withTerminal.resize({ cols: 100, rows: 30 });
    expect(table.program(0).signals).to.deep.equal([15]);
    expect(table.program(0).sizes).to.deep.equal(['100x30']);
    const size = { cols: 1, rows: 1 };
    expect((await failsWith(without.resize(size), 'PROCESS_STATE')).metadata.failure).to.equal(
      'no_terminal',
    );
    table.program(0).exit();
    await eventually(async () => {
      await failsWith(withTerminal.resize(size), 'PROCESS_STATE');
      await failsWith(
        Promise.resolve().then(() => withTerminal.signal(15)),
        'PROCESS_STATE',
      );
    });
    await failsWith(table.find('c'), 'PROCESS_NOT_FOUND');
  });

  it('kills a program when its time is over', async () => {
    const stream = table.launch('a', { timeoutMs: 20n });
    await stream.next();

    expect((await stream.rest()).exited).to.include({ exitCode: 137, timedOut: true });
    expect(table.program().signals).to.deep.equal([9]);
  });

  it('lists what runs and what has ended, oldest first', async () => {
    await table
      .launch('a', { args: ['x'.repeat(4000), 'y'.repeat(4000), 'z'], user: 'nobody' })
      .next();
    await table.launch('b').next();
    table.program(0).print('abc');
    table.program(0).exit(1);
    await eventually(() => expect(table.list()[0]?.exited?.exitCode).to.equal(1));

    const [first, second] = table.list();
    expect(first).to.deep.include({ processId: 'a', user: 'nobody', cwd: '/work', nextOffset: 3n });
    expect(first?.args).to.deep.equal(['x'.repeat(4000), 'y'.repeat(96)]);
    expect(second).to.deep.include({ processId: 'b', user: 'root', exited: undefined, pid: 42 });
  });

  it('keeps the newest ended programs, within number, bytes and time', async () => {
    table = new ScriptedTable({ endedMax: 3, endedBytesMax: 1_000, endedKeptMs: ALIVE_MS });
    for (const [index, sizeBytes] of [10, 10, 10, 10, 990].entries()) {
      await table.launch(`p${index}`).next();
      table.program(index).print('x'.repeat(sizeBytes));
      table.program(index).exit();
      await eventually(() => expect(table.list().at(-1)?.exited).not.to.equal(undefined));
    }
    expect(table.list().map(({ processId }) => processId)).to.deep.equal(['p3', 'p4']);

    table = new ScriptedTable({ endedKeptMs: 20 });
    await table.launch('a').next();
    table.program(0).exit();
    await eventually(() => expect(table.list()).to.deep.equal([]));
    await failsWith(table.attach('a').next(), 'PROCESS_NOT_FOUND');
  });

  it('runs no more programs than it may', async () => {
    table = new ScriptedTable({ runningMax: 2 });
    const pending = [table.launch('a').next(), table.launch('b').next()];
    const refused = await failsWith(table.launch('c').next(), 'COMMAND_NOT_STARTED');
    await Promise.all(pending);

    expect(refused.metadata.failure).to.equal('program_limit');
    expect((await table.launch('a').next())?.$case).to.equal('started');
    table.program(0).exit();
    await eventually(async () =>
      expect((await table.launch('c').next())?.$case).to.equal('started'),
    );
  });
});

async function failsWith(call: Promise<unknown>, reason: Reason): Promise<WrennError> {
  const error = await rejectionOf(call);
  expect(error).to.have.property('reason', reason);
  return error;
}
