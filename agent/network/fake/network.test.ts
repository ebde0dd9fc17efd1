import { expect } from 'chai';
import { hasReason } from '../../../lib/errors/index.js';
import { createFakeNetwork } from './network.js';

describe('the fake network', () => {
  const never = new AbortController().signal;
  const noRecord = async () => undefined;

  it('gives out each slot once and takes it back', async () => {
    const network = createFakeNetwork();

    const slots = await Promise.all(
      Array.from({ length: 300 }, () => network.acquire(noRecord, never)),
    );

    for (const key of ['index', 'lease', 'namespace', 'hostIp', 'guestIp', 'uid'] as const) {
      expect(new Set(slots.map((slot) => slot[key])).size).to.equal(300);
    }
    for (const slot of slots) await network.release(slot);
    expect(network.held()).to.deep.equal([]);
  });

  it('says when there is none left', async () => {
    const network = createFakeNetwork({ slotsMax: 1 });
    await network.acquire(noRecord, never);

    const error = await network.acquire(noRecord, never).catch((thrown: unknown) => thrown);

    expect(hasReason(error, 'NETWORK_EXHAUSTED')).to.equal(true);
  });

  it('holds nothing when the record cannot be kept, or a step fails', async () => {
    const network = createFakeNetwork();
    network.faults.failNext('network.acquire.recorded');

    const failures = [
      await network.acquire(() => Promise.reject(new Error()), never).catch(() => 'failed'),
      await network.acquire(noRecord, never).catch(() => 'failed'),
    ];

    expect(failures).to.deep.equal(['failed', 'failed']);
    expect(network.held()).to.deep.equal([]);
  });

  it('does not take a slot from a later holder', async () => {
    const network = createFakeNetwork({ slotsMax: 1 });
    const first = await network.acquire(noRecord, never);
    await network.release(first);
    await network.acquire(noRecord, never);

    await network.release(first);

    expect(network.held()).to.deep.equal([1]);
  });

  it('sweeps what nobody holds and knows what somebody does', async () => {
    const earlier = createFakeNetwork();
    const held = await earlier.acquire(noRecord, never);
    const stray = await earlier.acquire(noRecord, never);

    expect(await earlier.sweep([held])).to.have.length(1);
    expect(earlier.held()).to.deep.equal([held.index]);

    const restarted = createFakeNetwork();
    await restarted.sweep([held, stray]);
    expect(restarted.held()).to.deep.equal([held.index, stray.index]);
  });
});
