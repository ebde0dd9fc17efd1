import { expect } from 'chai';
import fc from 'fast-check';
import { eventually } from '../../test/support/eventually.js';
import { rejectionOf } from '../../test/support/rejection.js';
import { ScriptedTable } from '../../test/support/scripted-programs.js';
import type { Reason, WrennError } from '../errors/index.js';
import { INPUT_QUEUE_BYTES_MAX, INPUT_WRITERS_MAX } from './process-limits.js';

describe('InputQueue of a launched program', () => {
  let table: ScriptedTable;

  beforeEach(() => {
    table = new ScriptedTable();
  });

  it('queues each piece of input once, in order, whoever sends it again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('w1', 'w2'), fc.integer({ min: 1, max: 9 })), {
          maxLength: 40,
        }),
        async (sends) => {
          table = new ScriptedTable();
          await table.launch('a').next();
          const expected: string[] = [];
          const last = new Map<string, number>();
          for (const [writerId, sequence] of sends) {
            if (sequence > (last.get(writerId) ?? 0)) {
              last.set(writerId, sequence);
              expected.push(`${writerId}:${sequence}`);
            }
          }
          await Promise.all(sends.map(([writer, sequence]) => table.send(writer, sequence)));
          table.program().readInput();

          expect(table.program().written).to.deep.equal(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('lets a piece of input wait for room, and queues nothing for one who gave up', async () => {
    await table.launch('a').next();
    const full = 'x'.repeat(INPUT_QUEUE_BYTES_MAX);
    await table.send('w', 1, full);
    const cancel = new AbortController();
    const late = table.send('w', 2, 'two', cancel.signal).catch((error: Error) => error.message);
    const repeated = table.send('w', 2, 'two');

    cancel.abort(new Error('gave up'));
    expect(await late).to.equal('gave up');
    table.program().readInput();
    await repeated;
    table.program().readInput();

    expect(table.program().written).to.deep.equal([full, 'two']);
  });

  it('remembers the writers who wrote last', async () => {
    await table.launch('a').next();
    await table.send('first', 1);
    await table.send('second', 1);
    for (let count = 2; count < INPUT_WRITERS_MAX; count += 1) await table.send(`w${count}`, 1);
    // Passed over, but it has written last now.
    await table.send('first', 1);
    await table.send('one-more', 1);

    await table.send('first', 1);
    await table.send('second', 1);
    table.program().readInput();

    expect(table.program().written.filter((text) => text === 'first:1')).to.have.length(1);
    expect(table.program().written.filter((text) => text === 'second:1')).to.have.length(2);
  });

  it('takes no input once it is closed or the program has ended', async () => {
    await table.launch('a').next();
    await table.send('w', 1);
    await table.send('other', 1, 'x'.repeat(INPUT_QUEUE_BYTES_MAX - 3));
    const waiting = failsWith(table.send('w', 2), 'PROCESS_STATE');
    const process = await table.find('a');

    process.closeInput();
    process.closeInput();

    expect((await waiting).metadata.failure).to.equal('input_closed');
    expect(table.program().inputEnds).to.equal(1);
    await table.send('w', 1);
    table.program().exit();
    await eventually(async () => {
      expect((await failsWith(table.send('w', 2), 'PROCESS_STATE')).metadata.failure).to.equal(
        'process_ended',
      );
    });
    process.closeInput();
  });

  it('has no input to close when it was closed at the start', async () => {
    await table.launch('a', { closeStdin: true }).next();

    await failsWith(table.send('w', 1), 'PROCESS_STATE');
  });
});

async function failsWith(call: Promise<unknown>, reason: Reason): Promise<WrennError> {
  const error = await rejectionOf(call);
  expect(error).to.have.property('reason', reason);
  return error;
}
