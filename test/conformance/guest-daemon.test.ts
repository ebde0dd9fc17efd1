/** The contract of the guest daemon, kept by the real one and by the fake one. */
import { join } from 'node:path';
import { FakeEnvd } from '../../agent/vmm/fake/envd.js';
import { FaultPlan } from '../../lib/faults/fault-plan.js';
import { startEnvd } from '../support/envd.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { describeGuestDaemon } from './guest-daemon.js';

describeGuestDaemon('envd', async (context) => {
  requireNeed(context, 'root');
  const envd = await startEnvd({ initialize: false });
  return {
    target: envd.target,
    newFolder: join(envd.directory, 'new'),
    close: () => envd.stop(),
  };
});

describeGuestDaemon('of a fake machine', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory.path, 'envd.sock');
  const envd = new FakeEnvd(new FaultPlan());
  await envd.listen(socketPath);
  return {
    target: `unix:${socketPath}`,
    newFolder: '/root/new',
    async close() {
      envd.close();
      await directory.remove();
    },
  };
});
