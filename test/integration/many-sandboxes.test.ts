import { expect } from 'chai';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';

const COUNT = 200;

describe('two hundred sandboxes created at once through the public API', function () {
  this.timeout(180_000);
  let platform: TestPlatform;

  before(async () => {
    const settings = { WRENN_VMM_DRIVER: 'fake', WRENN_MEMORY_MB_MAX: '1000000' };
    platform = await TestPlatform.start({ settings });
  });

  after(() => platform?.[Symbol.asyncDispose]());

  it('all run, answer as themselves, are listed once each, and are gone after their deletion', async () => {
    const { client } = platform;
    const created = await Promise.all(
      Array.from({ length: COUNT }, (_, index) =>
        client.sandboxes.create({
          metadata: { number: String(index) },
          env: { NUMBER: String(index) },
        }),
      ),
    );
    expect(new Set(created.map(({ sandboxId }) => sandboxId)).size).to.equal(COUNT);
    expect(new Set(created.map(({ guestIp }) => guestIp)).size).to.equal(COUNT);

    const listed = [];
    for await (const sandbox of client.sandboxes.list()) listed.push(sandbox);
    const running = listed.filter(({ state }) => state === SandboxState.SANDBOX_STATE_RUNNING);
    expect(running.map(({ sandboxId }) => sandboxId)).to.have.members(
      created.map(({ sandboxId }) => sandboxId),
    );

    await Promise.all(
      created.map(async ({ sandboxId, metadata }) => {
        const { stdoutText } = await client.exec(sandboxId, { cmd: 'env' });
        expect(stdoutText).to.contain(`NUMBER=${metadata.number}\n`);
      }),
    );

    await Promise.all(created.map(({ sandboxId }) => client.sandboxes.delete(sandboxId)));
    const { sandboxes } = await client.sandboxes.listPage();
    expect(sandboxes).to.deep.equal([]);
    const census = await eventually(() => platform.census());
    expect(census['ledger entry']).to.deep.equal([]);
  });
});
