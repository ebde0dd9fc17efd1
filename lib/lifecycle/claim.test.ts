import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { WrennError } from '../errors/index.js';
import { claimDirectory } from './claim.js';

describe('claimDirectory', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wrenn-claim-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  it('lets one holder in at a time, by whatever path it comes', async () => {
    const held = join(directory, 'state');
    const claim = await claimDirectory('agent', held);
    await symlink(held, join(directory, 'link'));
    for (const path of [held, join(directory, 'link')]) {
      const refused = await claimDirectory('agent', path).catch((error: WrennError) => error);
      expect(refused).to.have.property('reason', 'HOST_REQUIREMENT');
    }
    await claim.release();
    await (await claimDirectory('agent', held)).release();
  });

  it('does not hold up another role or another folder', async () => {
    const claims = [
      await claimDirectory('agent', join(directory, 'a')),
      await claimDirectory('up', join(directory, 'a')),
      await claimDirectory('agent', join(directory, 'b')),
    ];
    await Promise.all(claims.map((claim) => claim.release()));
  });
});
