/** Lists of sandboxes: their filters, their pages, and both together. */
import { expect } from 'chai';
import { type ListSandboxesRequest, SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import {
  type Account,
  plainSandbox,
  sandboxPage,
  useControlPlane,
} from '../support/control-plane.js';
import { reasonOf } from '../support/rejection.js';

const { SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED, SANDBOX_STATE_FAILED } = SandboxState;

describe('lists of sandboxes', () => {
  const test = useControlPlane();
  let account: Account;
  /** Ids in the order in which they were made. */
  const ids: string[] = [];

  before(async () => {
    account = await test.signUp();
    for (let number = 0; number < 9; number += 1) {
      const metadata = { number: String(number), kind: number % 3 === 0 ? 'a=b' : 'c' };
      const request = plainSandbox({ metadata });
      const { sandboxId } = await test.clients.sandboxes.createSandbox(request, account.asTeam);
      ids.push(sandboxId);
    }
    for (const sandboxId of ids.slice(0, 4)) {
      await test.clients.sandboxes.pauseSandbox({ sandboxId }, account.asTeam);
    }
  });

  it('show those in the states that are asked for', async () => {
    expect(await list({ states: [SANDBOX_STATE_PAUSED] })).to.deep.equal(newestFirst(0, 1, 2, 3));
    expect(await list({ states: [SANDBOX_STATE_RUNNING] })).to.deep.equal(
      newestFirst(4, 5, 6, 7, 8),
    );
    const both = [SANDBOX_STATE_RUNNING, SANDBOX_STATE_PAUSED];
    expect(await list({ states: both })).to.have.length(9);
    expect(await list({ states: [SANDBOX_STATE_FAILED] })).to.deep.equal([]);
  });

  it('show those that have all the metadata that is asked for', async () => {
    expect(await list({ metadata: ['kind=a=b'] })).to.deep.equal(newestFirst(0, 3, 6));
    expect(await list({ metadata: ['kind=a=b', 'number=3'] })).to.deep.equal(newestFirst(3));
    expect(await list({ metadata: ['kind=a=b', 'number=4'] })).to.deep.equal([]);
    expect(await list({ metadata: ['kind=a'] })).to.deep.equal([]);
    expect(await list({ metadata: ['absent=x'] })).to.deep.equal([]);
    expect(await list({ metadata: ['kind='] })).to.deep.equal([]);
  });

  it('take both filters together, page by page', async () => {
    const filter = { states: [SANDBOX_STATE_RUNNING], metadata: ['kind=c'], pageSize: 1 };

    expect(await list(filter)).to.deep.equal(newestFirst(4, 5, 7, 8));
  });

  it('neither repeat nor hide what stays while others come and go between two pages', async () => {
    const mine = await test.signUp();
    const create = async () =>
      (await test.clients.sandboxes.createSandbox(plainSandbox(), mine.asTeam)).sandboxId;
    const stay = [await create(), await create()];
    const goes = await create();
    stay.push(await create());

    const first = await page({ pageSize: 1 }, mine);
    await test.clients.sandboxes.deleteSandbox({ sandboxId: goes }, mine.asTeam);
    await create();
    const rest = await page({ pageSize: 100, pageToken: first.nextPageToken }, mine);

    const seen = [...first.sandboxes, ...rest.sandboxes].map(({ sandboxId }) => sandboxId);
    expect(seen).to.deep.equal([...stay].reverse());
  });

  it('refuse filters and pages that mean nothing', async () => {
    const refused: Partial<ListSandboxesRequest>[] = [
      { metadata: ['kind'] },
      { metadata: ['=x'] },
      { metadata: ['kind=a', 'kind=b'] },
      { metadata: ['kind=\0'] },
      { metadata: Array.from({ length: 17 }, (_, index) => `k${index}=v`) },
      { states: [SandboxState.SANDBOX_STATE_UNSPECIFIED] },
      { states: [99 as SandboxState] },
      { pageSize: 101 },
      { pageSize: -1 },
      { pageToken: 'x' },
    ];
    for (const request of refused) {
      expect(await reasonOf(page(request)), JSON.stringify(request)).to.equal('INVALID_REQUEST');
    }
  });

  it('hold only what a name of a key that is also one of JavaScript stands for', async () => {
    expect(await list({ metadata: ['constructor=x'] })).to.deep.equal([]);
  });

  function newestFirst(...numbers: number[]): (string | undefined)[] {
    return numbers.map((number) => ids[number]).reverse();
  }

  function page(request: Partial<ListSandboxesRequest>, { asTeam } = account) {
    return test.clients.sandboxes.listSandboxes(sandboxPage(request), asTeam);
  }

  /** Ids on all pages. */
  async function list(request: Partial<ListSandboxesRequest>): Promise<string[]> {
    const found: string[] = [];
    let pageToken = '';
    do {
      const { sandboxes, nextPageToken } = await page({ ...request, pageToken });
      found.push(...sandboxes.map(({ sandboxId }) => sandboxId));
      pageToken = nextPageToken;
    } while (pageToken !== '');
    return found;
  }
});
