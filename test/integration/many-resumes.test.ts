/** Many calls for one sandbox, through client, control plane and host agent, on fake machines. */
import { expect } from 'chai';
import type { WrennApiError } from '../../clients/typescript/error.js';
import { SandboxState, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import { reasonNumber } from '../../lib/errors/index.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';

const RESUMES = 200;

describe('one sandbox of the whole platform', function () {
  this.timeout(120_000);
  let platform: TestPlatform;

  before(async () => {
    const settings = { WRENN_VMM_DRIVER: 'fake', WRENN_MEMORY_MB_MAX: '1000000' };
    platform = await TestPlatform.start({ settings });
  });
  afterEach(async () => {
    const { client } = platform;
    for await (const { sandboxId } of client.sandboxes.list()) {
      await client.sandboxes.delete(sandboxId);
    }
    for await (const { snapshotId, sandboxId } of client.snapshots.list()) {
      if (sandboxId) await client.snapshots.delete(snapshotId);
    }
  });
  after(() => platform?.[Symbol.asyncDispose]());

  it(`is one machine after ${RESUMES} resumes at once, and all get it`, async () => {
    const { client } = platform;
    const { sandboxId } = await client.sandboxes.create();
    await client.sandboxes.pause(sandboxId);
    const answers = await Promise.all(
      Array.from({ length: RESUMES }, () => client.sandboxes.resume(sandboxId)),
    );
    const addresses = new Set(answers.map(({ sandbox }) => sandbox?.guestIp));
    expect(addresses.size).to.equal(1);
    await client.exec(sandboxId, { cmd: 'true' });
  });

  it('is gone when it is deleted while it is resumed, whoever comes first', async () => {
    const { client } = platform;
    for (let race = 0; race < 10; race += 1) {
      const { sandboxId } = await client.sandboxes.create();
      await client.sandboxes.pause(sandboxId);
      const [resumed] = await Promise.allSettled([
        client.sandboxes.resume(sandboxId),
        client.sandboxes.delete(sandboxId),
      ]);
      if (resumed.status === 'rejected') {
        expect(resumed.reason.reason, String(resumed.reason.stack)).to.be.oneOf([
          ...['SANDBOX_CONFLICT', 'SANDBOX_NOT_FOUND', 'SANDBOX_STATE'],
        ]);
      }
      expect(await reasonOf(client.sandboxes.get(sandboxId))).to.equal('SANDBOX_NOT_FOUND');
    }
    await eventually(async () => {
      expect((await platform.census())['ledger entry']).to.deep.equal([]);
    });
  });

  it('goes on through snapshot and fork, whose children take commands', async () => {
    const { client } = platform;
    const { sandboxId } = await client.sandboxes.create({ memoryMb: 256 });
    const { name } = await client.snapshots.create(sandboxId);
    const child = await client.sandboxes.create({ template: name });
    expect(child).to.include({ template: name, memoryMb: 256 });
    const { results } = await client.sandboxes.fork(sandboxId, 3);
    for (const { result } of results) {
      expect(result?.$case).to.equal('sandbox');
      if (result?.$case === 'sandbox') await client.exec(result.value.sandboxId, { cmd: 'true' });
    }
    await client.exec(sandboxId, { cmd: 'true' });
  });

  it('is paused by its timeout when it asked for that, and comes back', async () => {
    const { client } = platform;
    const onTimeout = TimeoutAction.TIMEOUT_ACTION_PAUSE;
    const { sandboxId } = await client.sandboxes.create({ timeoutSec: 1, onTimeout });
    await eventually(async () => {
      const { state, stateReason } = await client.sandboxes.get(sandboxId);
      expect([SandboxState[state], stateReason]).to.deep.equal([
        ...['SANDBOX_STATE_PAUSED', reasonNumber('SANDBOX_TIMEOUT')],
      ]);
    });
    await client.sandboxes.resume(sandboxId);
    await client.exec(sandboxId, { cmd: 'true' });
  });
});

async function reasonOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: WrennApiError) => error.reason,
  );
}
