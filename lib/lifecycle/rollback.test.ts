import { expect } from 'chai';
import { Rollback } from './rollback.js';

describe('Rollback', () => {
  const ignore = () => undefined;

  it('undoes the steps last first when the scope ends by an error', async () => {
    const undone: string[] = [];
    const operation = async () => {
      await using rollback = new Rollback(ignore);
      rollback.defer('first', () => void undone.push('first'));
      rollback.defer('second', () => void undone.push('second'));
      throw new Error('third step failed');
    };
    await operation().catch(ignore);
    expect(undone).to.deep.equal(['second', 'first']);
  });

  it('keeps the original error when an undo fails, reports the undo and runs the others', async () => {
    const reported: string[] = [];
    const undone: string[] = [];
    const operation = async () => {
      await using rollback = new Rollback((step) => reported.push(step));
      rollback.defer('first', () => void undone.push('first'));
      rollback.defer('second', () => Promise.reject(new Error('busy')));
      throw new Error('original');
    };
    const error = await operation().catch((thrown: Error) => thrown);
    expect(error).to.have.property('message', 'original');
    expect(reported).to.deep.equal(['second']);
    expect(undone).to.deep.equal(['first']);
  });

  it('leaves the undos to the new owner after commit', async () => {
    const undone: string[] = [];
    const operation = async () => {
      await using rollback = new Rollback(ignore);
      rollback.defer('only', () => void undone.push('only'));
      return rollback.commit();
    };
    const owner = await operation();
    expect(undone).to.deep.equal([]);
    expect(await owner.undo()).to.equal(0);
    expect(undone).to.deep.equal(['only']);
  });

  it('gives up on an undo that takes longer than its limit and aborts its signal', async () => {
    const reported: string[] = [];
    let signal: AbortSignal | undefined;
    const rollback = new Rollback((step) => reported.push(step), 10);
    rollback.defer('hangs', (given) => {
      signal = given;
      return new Promise(ignore);
    });
    expect(await rollback.undo()).to.equal(1);
    expect(reported).to.deep.equal(['hangs']);
    expect(signal?.aborted).to.equal(true);
  });

  it('undoes each step once', async () => {
    let count = 0;
    const rollback = new Rollback(ignore);
    rollback.defer('only', () => void count++);
    await rollback.undo();
    await rollback.undo();
    expect(count).to.equal(1);
  });
});
