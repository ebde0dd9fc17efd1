import { expect } from 'chai';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { type Account, plainSandbox, useControlPlane } from '../support/control-plane.js';

describe('SandboxService', () => {
  const test = useControlPlane();
  let account: Account;
  before(async () => {
    account = await test.signUp();
  });

  it('creates, shows, uses and deletes a sandbox', async () => {
    const { sandboxes, processes, files } = test.clients;
    const created = await sandboxes.createSandbox(
      plainSandbox({ env: { A: 'b' } }),
      account.asTeam,
    );
    expect(created.state).to.equal(SandboxState.SANDBOX_STATE_RUNNING);
    const { sandboxId } = created;

    const result = await processes.exec(
      {
        sandboxId,
        cmd: 'echo',
        args: ['hello'],
        timeoutSec: 0,
        env: {},
        cwd: '',
        user: '',
        stdin: Buffer.alloc(0),
      },
      account.asTeam,
    );
    expect(result.stdoutText).to.equal('echo hello\n');
    await files.writeFile(
      { sandboxId, path: '/a', file: Buffer.from('x'), user: '', mode: 0 },
      account.asTeam,
    );
    const body = await files.readFile({ sandboxId, path: '/a' }, account.asTeam);
    expect(body.data.toString()).to.equal('x');

    await sandboxes.deleteSandbox({ sandboxId }, account.asTeam);
    expect(test.agent.sandboxes.size).to.equal(0);
  });
});
