import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../../../test/support/eventually.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { HostResolvers, parseResolvers } from './resolvers.js';

const addresses = (resolvers: readonly { address: string }[]) =>
  resolvers.map(({ address }) => address);

describe('the host’s name servers', () => {
  it('are the nameserver lines, three at most, in their order', () => {
    const text = [
      '# nameserver 192.0.2.9',
      'search example.com',
      'nameserver 192.0.2.1 # first',
      '  nameserver\tfd00::53',
      'nameserver not-an-address',
      'nameserver',
      'nameserver fe80::1%eth0',
      'nameserver 192.0.2.4',
    ].join('\n');
    expect(addresses(parseResolvers(text))).to.deep.equal([
      '192.0.2.1',
      'fd00::53',
      'fe80::1%eth0',
    ]);
  });

  it('are the host itself when none is named', () => {
    expect(parseResolvers('search example.com\n')).to.deep.equal([
      { address: '127.0.0.1', port: 53 },
    ]);
  });

  it('follow the file when it changes, goes and comes back', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'resolv.conf');
    await writeFile(path, 'nameserver 192.0.2.1\n');
    const resolvers = new HostResolvers(path);
    expect(addresses(await resolvers.list())).to.deep.equal(['192.0.2.1']);

    const expectSoon = (expected: string[]) =>
      eventually(async () => expect(addresses(await resolvers.list())).to.deep.equal(expected));
    await writeFile(path, 'nameserver 192.0.2.2\nnameserver 192.0.2.3\n');
    await expectSoon(['192.0.2.2', '192.0.2.3']);
    await rm(path);
    await expectSoon(['127.0.0.1']);
    await writeFile(path, 'nameserver 192.0.2.4\n');
    await expectSoon(['192.0.2.4']);
  });
});
