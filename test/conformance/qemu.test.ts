import { requireNeed } from '../support/requirements.js';
import { QemuFixture } from './qemu-fixture.js';
import { describeVmmDriver } from './vmm-driver.js';

describeVmmDriver('qemu', async (context) => {
  requireNeed(context, 'root', 'qemu', 'images', 'netns');
  return QemuFixture.create();
});
