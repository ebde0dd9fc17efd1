import { expect } from 'chai';
import { findMissing } from './complete-lockfile.mjs';

describe('the lockfile', () => {
  it('misses an optional package that has no entry, beside its parent or on top', () => {
    const parent = { optionalDependencies: { 'a-linux-x64': '1.0.0', 'a-darwin-x64': '1.0.0' } };
    const packages = { 'node_modules/a': parent, 'node_modules/a-linux-x64': {} };
    const names = (found) => findMissing(found).map(({ name }) => name);
    expect(names(packages)).to.deep.equal(['a-darwin-x64']);
    const nested = { ...packages, 'node_modules/a/node_modules/a-darwin-x64': {} };
    expect(names(nested)).to.deep.equal([]);
  });
});
