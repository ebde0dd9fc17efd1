import { expect } from 'chai';
import { snapshotName } from './snapshot-name.js';

describe('snapshotName', () => {
  it('says when the snapshot was made, in a form that the API takes', () => {
    const name = snapshotName(new Date('2026-01-31T23:59:58.999Z'));
    expect(name).to.match(/^snapshot-20260131-235958-[a-z0-9]{6}$/);
    expect(name).to.match(/^[a-z0-9][a-z0-9._-]{0,62}$/);
  });

  it('differs between snapshots of one moment', () => {
    const now = new Date();
    const names = Array.from({ length: 100 }, () => snapshotName(now));
    expect(new Set(names).size).to.equal(100);
  });
});
