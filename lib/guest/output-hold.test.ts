import { expect } from 'chai';
import { eventually } from '../../test/support/eventually.js';
import { rejectionOf } from '../../test/support/rejection.js';
import { type ScriptedProgram, ScriptedTable } from '../../test/support/scripted-programs.js';
import type { Reason, WrennError } from '../errors/index.js';
import { BYTES_IN_FLIGHT_MAX, RING_BYTES_MAX } from './output-ring.js';

const ALIVE_MS = 60_000;

describe('OutputHold of a launched program', () => {
  let table: ScriptedTable;

  beforeEach(() => {
    table = new ScriptedTable();
  });

  it('waits for the holder, and cuts off any other reader', async () => {
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();
    const other = table.attach('a', 0);
    await other.next();
    const whole = printNumbers(table.program(), 3 * RING_BYTES_MAX);

    await eventually(() => expect(table.program().takenBytes).to.be.greaterThan(400_000));
    expect(table.program().takenBytes).to.be.at.most(RING_BYTES_MAX);
    table.program().exit();
    const { text } = await holder.rest();

    expect(text === whole).to.equal(true);
    await failsWith(other.rest(), 'OUTPUT_OUT_OF_RANGE');
  });

  it('waits no more when the stream of the holder ends', async () => {
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();
    printNumbers(table.program(), 3 * RING_BYTES_MAX);
    table.program().exit();

    await holder.stop();

    await eventually(() => expect(table.list()[0]?.exited).not.to.equal(undefined));
    await failsWith(table.attach('a', 0, 'h').next(), 'OUTPUT_OUT_OF_RANGE');
  });

  it('waits for nobody who has another id, or none', async () => {
    await table.launch('a').next();
    const others = [table.attach('a', 0, ''), table.attach('a', 0, 'h')];
    for (const other of others) await other.next();
    printNumbers(table.program(), 2 * RING_BYTES_MAX);
    table.program().exit();

    await eventually(() => expect(table.list()[0]?.exited).not.to.equal(undefined));
  });

  it('gives a holder whose connection was broken time to come back', async () => {
    table = new ScriptedTable({ holderReturnMs: ALIVE_MS });
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();
    const whole = printNumbers(table.program(), 3 * RING_BYTES_MAX);
    const before = (await holder.take(700_000)).toString();

    table.processes.expectHoldersToReturn('second');
    await holder.stop();
    // What was in flight on the broken connection is asked for again.
    const received = before.length - BYTES_IN_FLIGHT_MAX;
    const back = table.attach('a', received, 'h');
    table.program().exit();

    expect(before.slice(0, received) + (await back.rest()).text === whole).to.equal(true);
  });

  it('keeps the hold of a stream on the connection that stays', async () => {
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();

    table.processes.expectHoldersToReturn('first');
    await holder.stop();

    printNumbers(table.program(), 3 * RING_BYTES_MAX);
    table.program().exit();
    await eventually(() => expect(table.list()[0]?.exited).not.to.equal(undefined));
  });

  it('waits for a broken holder no longer than it may', async () => {
    table = new ScriptedTable({ holderReturnMs: 30 });
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();
    printNumbers(table.program(), 3 * RING_BYTES_MAX);
    table.program().exit();

    table.processes.expectHoldersToReturn('second');
    expect(table.list()[0]?.exited).to.equal(undefined);
    await holder.stop();

    await eventually(() => expect(table.list()[0]?.exited).not.to.equal(undefined));
  });

  it('keeps an ended program as long as its holder reads', async () => {
    table = new ScriptedTable({ endedMax: 0 });
    const holder = table.launch('a', { holderId: 'h' });
    await holder.next();
    table.program().print('text');
    table.program().exit();
    await eventually(() => expect(table.list()[0]?.exited).not.to.equal(undefined));

    expect((await holder.rest()).text).to.equal('text');
    expect(table.list()).to.deep.equal([]);
  });
});

/** Prints at least so many bytes that tell their place. @returns all of it. */
function printNumbers(program: ScriptedProgram, sizeBytes: number): string {
  let whole = '';
  for (let line = 0; whole.length < sizeBytes; ) {
    let piece = '';
    while (piece.length < 20_000) piece += `line ${line++}\n`;
    program.print(piece);
    whole += piece;
  }
  return whole;
}

async function failsWith(call: Promise<unknown>, reason: Reason): Promise<WrennError> {
  const error = await rejectionOf(call);
  expect(error).to.have.property('reason', reason);
  return error;
}
