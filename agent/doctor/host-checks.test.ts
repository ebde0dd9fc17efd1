import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkDevice, checkFolder, checkUserfaultfd } from './host-checks.js';

describe('the checks of a host', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wrenn-doctor-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  it('find a folder that a VMM of another user could not enter, and name it', async () => {
    const inner = join(directory, 'state');
    await mkdir(inner);
    await chmod(directory, 0o700);
    const closed = await checkFolder('state folder', inner);
    expect(closed.status).to.equal('missing');
    expect(closed.advice).to.contain(directory);
    await chmod(directory, 0o711);
    expect((await checkFolder('state folder', inner)).status).to.equal('ok');
    expect((await checkFolder('state folder', join(inner, 'not', 'yet'))).status).to.equal('ok');
  });

  it('accept the device for page faults, or the setting of older kernels, and nothing else', async () => {
    const setting = join(directory, 'unprivileged_userfaultfd');
    const status = async (device: string) => (await checkUserfaultfd(device, setting)).status;
    expect(await status('/dev/null')).to.equal('ok');
    expect(await status('/dev/absent')).to.equal('missing');
    await writeFile(setting, '0\n');
    expect(await status('/dev/absent')).to.equal('missing');
    await writeFile(setting, '1\n');
    expect(await status('/dev/absent')).to.equal('ok');
  });

  it('tell a device that opens from one that is absent', async () => {
    expect((await checkDevice('/dev/null', 'missing')).status).to.equal('ok');
    expect((await checkDevice('/dev/absent', 'note')).status).to.equal('note');
    expect(await checkDevice('/dev/absent', 'missing', 'Do this.')).to.include({
      status: 'missing',
      advice: 'Do this.',
    });
  });
});
