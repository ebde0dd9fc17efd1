import { expect } from 'chai';
import { HOST_PACKAGES, parseInstalled } from './packages.js';

describe('Debian packages of a host', () => {
  it('are missing unless dpkg calls them installed', () => {
    const printed = 'kmod installed\nlz4 config-files\nzstd not-installed\nxz-utils installed\n';
    expect([...parseInstalled(printed)]).to.deep.equal(['kmod', 'xz-utils']);
  });

  it('are each named once and say why', () => {
    expect(new Set(HOST_PACKAGES.map(({ name }) => name)).size).to.equal(HOST_PACKAGES.length);
    expect(HOST_PACKAGES.filter(({ why }) => why.trim() === '')).to.deep.equal([]);
  });

  it('have no kernel among them', () => {
    const kernels = HOST_PACKAGES.filter(({ name }) => name.startsWith('linux-'));
    expect(kernels).to.deep.equal([]);
  });
});
