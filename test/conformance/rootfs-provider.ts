/**
 * What every provider of root disks must do, as one suite. A provider's test
 * makes a fixture of it and calls `describeRootfsProvider`.
 */
import { expect } from 'chai';
import type { Rootfs, RootfsProvider, RootfsRequest } from '../../agent/rootfs/provider.js';

export interface RootfsProviderFixture {
  provider: RootfsProvider;
  /** A request for a disk of a new sandbox, all of the same template. */
  makeRequest(): Promise<RootfsRequest>;
  /** A request that must fail. */
  makeBadRequest(): Promise<RootfsRequest>;
  /** What the provider holds for a request, one line each. */
  leftovers(request: RootfsRequest): Promise<string[]>;
  close(): Promise<void>;
}

export function describeRootfsProvider(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<RootfsProviderFixture>,
): void {
  describe(`provider of root disks ${name}`, () => {
    let fixture: RootfsProviderFixture;
    let provider: RootfsProvider;

    before(async function () {
      fixture = await createFixture(this);
      provider = fixture.provider;
    });

    after(() => fixture?.close());

    it('makes a disk in the folder of its sandbox', async () => {
      const request = await fixture.makeRequest();

      const rootfs = await provider.create(request);

      expect(rootfs.path.startsWith(`${request.directory}/`)).to.equal(true);
      expect(await fixture.leftovers(request)).not.to.deep.equal([]);
      expect(await provider.sizeBytes(rootfs)).to.be.at.least(0);
    });

    it('gives two sandboxes of a template a disk each', async () => {
      const [first, second] = [await fixture.makeRequest(), await fixture.makeRequest()];
      const disks = [await provider.create(first), await provider.create(second)];

      await provider.destroy(disks[0] as Rootfs);

      expect(await fixture.leftovers(first)).to.deep.equal([]);
      expect(await fixture.leftovers(second)).not.to.deep.equal([]);
    });

    it('takes a second destroy, also of a disk out of the ledger', async () => {
      const request = await fixture.makeRequest();
      const rootfs = await provider.create(request);
      const recorded = JSON.parse(JSON.stringify(rootfs)) as Rootfs;

      await provider.destroy(recorded);
      await provider.destroy(rootfs);

      expect(await fixture.leftovers(request)).to.deep.equal([]);
      expect(await provider.sizeBytes(rootfs)).to.equal(0);
    });

    it('leaves nothing behind when it fails', async () => {
      const request = await fixture.makeBadRequest();

      const error = await provider.create(request).catch((thrown: unknown) => thrown);

      expect(error).to.be.an('error');
      expect(await fixture.leftovers(request)).to.deep.equal([]);
    });
  });
}
