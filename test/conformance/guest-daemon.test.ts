/** The contract of the guest daemon, kept by the real one and by the fake one. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeEnvd } from '../../agent/vmm/fake/envd.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { startEnvd } from '../support/envd.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { describeGuestDaemon, type GuestDaemonFixture } from './guest-daemon.js';
import { describeGuestFiles } from './guest-files.js';
import { describeGuestProcesses } from './guest-processes.js';

async function realDaemon(context: Mocha.Context): Promise<GuestDaemonFixture> {
  requireNeed(context, 'root');
  const envd = await startEnvd({ initialize: false });
  const machineIdPath = join(envd.directory, 'machine-id');
  await writeFile(machineIdPath, '0123456789abcdef0123456789abcdef\n');
  return {
    target: envd.target,
    newFolder: join(envd.directory, 'new'),
    machineIdPath,
    runDirectory: join(envd.directory, 'run'),
    close: () => envd.stop(),
  };
}

async function fakeDaemon(): Promise<GuestDaemonFixture> {
  const directory = await temporaryDirectory();
  const socketPath = join(directory.path, 'envd.sock');
  const envd = new FakeEnvd(new FaultPlan());
  await envd.listen(socketPath);
  return {
    target: `unix:${socketPath}`,
    newFolder: '/root/new',
    machineIdPath: '/etc/machine-id',
    runDirectory: '/run/wrenn',
    async close() {
      envd.close();
      await directory.remove();
    },
  };
}

for (const describe of [describeGuestDaemon, describeGuestFiles, describeGuestProcesses]) {
  describe('envd', realDaemon);
  describe('of a fake machine', fakeDaemon);
}
