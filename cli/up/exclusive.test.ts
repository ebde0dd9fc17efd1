import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { claimPlatform, claimWhenFree, supervisorPid } from './exclusive.js';

describe('claimPlatform', () => {
  it('lets one supervisor have the folders and names it to the others', async () => {
    await using directory = await temporaryDirectory();
    const folders = {
      stateDirectory: join(directory.path, 'state'),
      runDirectory: join(directory.path, 'run'),
    };
    const claim = await claimPlatform(folders);
    expect(claim).not.to.equal(undefined);
    expect(await claimPlatform(folders)).to.equal(undefined);
    expect(await supervisorPid(folders)).to.equal(process.pid);

    const waiting = claimWhenFree(folders, 10_000);
    await claim?.undo();
    await (await waiting).undo();
    expect(await supervisorPid(folders)).to.equal(undefined);
  });

  it('refuses folders of which one is taken, and holds neither of them then', async () => {
    await using directory = await temporaryDirectory();
    const [one, two, three] = ['one', 'two', 'three'].map((name) => join(directory.path, name));
    const folders = (stateDirectory = '', runDirectory = '') => ({ stateDirectory, runDirectory });
    const claim = await claimPlatform(folders(one, two));
    expect(await claimPlatform(folders(three, two))).to.equal(undefined);

    const other = await claimPlatform(folders(three, one?.concat('-other')));
    expect(other).not.to.equal(undefined);
    await other?.undo();
    await claim?.undo();
  });
});
