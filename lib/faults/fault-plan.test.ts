import { expect } from 'chai';
import { FAULT_STEPS, FaultPlan, InjectedFault } from './fault-plan.js';

describe('FaultPlan', () => {
  it('lets every step pass without a fault', async () => {
    const faults = new FaultPlan();

    for (const step of FAULT_STEPS) await faults.reach(step);

    expect(FAULT_STEPS.map((step) => faults.timesReached(step))).to.deep.equal(
      FAULT_STEPS.map(() => 1),
    );
  });

  it('fails a step once, with its own error or the one that is given', async () => {
    const faults = new FaultPlan();
    const error = new Error('mine');
    faults.failNext('driver.boot');
    faults.failNext('driver.boot', error);

    expect(await failureOf(faults.reach('driver.boot'))).to.be.instanceOf(InjectedFault);
    expect(await failureOf(faults.reach('driver.boot'))).to.equal(error);
    expect(await failureOf(faults.reach('driver.boot'))).to.equal(undefined);
  });

  it('says which faults nobody has met', async () => {
    const faults = new FaultPlan();
    faults.failNext('rootfs.create');
    faults.delayNext('driver.boot', 0);
    await faults.reach('driver.boot');

    expect(faults.pending).to.deep.equal(['rootfs.create']);
  });

  it('ends a delay when the caller goes away', async () => {
    const faults = new FaultPlan();
    faults.delayNext('guest.start', 60_000);
    const cancel = new AbortController();
    const reached = faults.reach('guest.start', cancel.signal);
    const reason = new Error('gone');

    cancel.abort(reason);

    expect(await failureOf(reached)).to.equal(reason);
  });
});

async function failureOf(promise: Promise<void>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error;
  }
}
