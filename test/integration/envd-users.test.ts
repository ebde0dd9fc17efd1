/** Programs that the real guest daemon runs as other users. */
import { join } from 'node:path';
import { expect } from 'chai';
import { findAccount } from '../../envd/accounts.js';
import { type EnvdProcess, findBusybox, isAlive, startEnvd } from '../support/envd.js';
import { requireNeed } from '../support/requirements.js';
import { skipBecause } from '../support/skip-reason.js';

describe('envd running programs as another user', () => {
  let envd: EnvdProcess;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
  });

  after(async () => {
    await envd?.stop();
  });

  it("sets the user's ids and variables, and drops the groups of the daemon", async () => {
    const account = await findAccount('nobody');

    const ids = await envd.run({ cmd: 'id', args: ['-G'], user: 'nobody' });
    const variables = await envd.run({
      cmd: 'sh',
      args: ['-c', 'echo $USER $LOGNAME $HOME $SHELL $(id -u)'],
      user: 'nobody',
    });

    expect(ids.stdout).to.equal(`${account?.gid}\n`);
    expect(variables.stdout).to.equal(
      `nobody nobody ${account?.home} ${account?.shell} ${account?.uid}\n`,
    );
  });

  it('starts in / when the user has no home', async () => {
    expect((await envd.run({ cmd: 'pwd', user: 'nobody' })).stdout).to.equal('/\n');
  });

  it('lets the user open input and outputs by name', async () => {
    const script = 'echo err > /dev/stderr; cat /dev/stdin > /dev/stdout';

    const result = await envd.run({
      cmd: 'sh',
      args: ['-c', script],
      user: 'nobody',
      stdin: Buffer.from('in'),
    });

    expect(result).to.include({ stdout: 'in', stderr: 'err\n' });
  });

  it("keeps root's files from the user", async () => {
    const result = await envd.run({
      cmd: 'cat',
      args: [join(envd.directory, 'run', 'envd-token')],
      user: 'nobody',
    });

    expect(result).to.include({ stdout: '', exitCode: 1 });
  });

  describe('who has further groups', () => {
    let other: EnvdProcess;

    before(async function () {
      if (!findBusybox()) skipBecause(this, 'needs busybox');
      other = await startEnvd({
        accounts: {
          passwd: 'root:x:0:0::/root:/bin/sh\nbuilder:x:4001:4001::/:/usr/sbin/nologin\n',
          group: 'root:x:0:\none:x:5001:builder\ntwo:x:5002:root,builder\nthree:x:5003:root\n',
        },
      });
    });

    after(async () => {
      await other?.stop();
    });

    it('sets all of them', async () => {
      const { stdout } = await other.run({ cmd: 'id', args: ['-G'], user: 'builder' });

      expect(stdout.trim().split(' ').sort()).to.deep.equal(['4001', '5001', '5002']);
    });

    it('changes nothing else of the program', async () => {
      const script = 'cat; echo "$0|$1|$2|$USER|$(id -u)"; echo err > /dev/stderr; exit 5';
      const args = ['-c', script, 'name', '--', 'a "b" $c'];

      const result = await other.run({
        cmd: 'sh',
        args,
        user: 'builder',
        stdin: Buffer.from('in\n'),
      });

      expect(result).to.include({
        stdout: 'in\nname|--|a "b" $c|builder|4001\n',
        stderr: 'err\n',
        exitCode: 5,
      });
    });

    it('is killed with the whole group when the time is over', async () => {
      const request = { cmd: 'sleep', args: ['300'], user: 'builder', timeoutMs: 300 };

      const result = await other.run(request);

      expect(result).to.include({ exitCode: 137, timedOut: true });
      expect(await isAlive(result.pid)).to.equal(false);
    });
  });
});
