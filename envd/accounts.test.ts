import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AccountFiles, findAccount, readAccountNames } from './accounts.js';

const PASSWD = [
  'root:x:0:0:root:/root:/bin/bash',
  'alice:x:1000:1001:Alice,,,:/home/alice:/bin/zsh',
  'bare:x:1002:1002:::',
  'broken:x:not-a-number:1',
  'short',
].join('\n');
const GROUP = 'alice:x:1001:alice\nwheel:x:10:root,alice\nvideo:x:44:bob,alice\nbroken:x:y:alice\n';

describe('findAccount', () => {
  let folder: string;
  let files: AccountFiles;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wrenn-accounts-'));
    files = { passwdPath: join(folder, 'passwd'), groupPath: join(folder, 'group') };
    await writeFile(files.passwdPath, PASSWD);
    await writeFile(files.groupPath, GROUP);
  });

  after(() => rm(folder, { recursive: true }));

  it('reads ids, home, shell and the groups beside the primary one', async () => {
    expect(await findAccount('alice', files)).to.deep.equal({
      name: 'alice',
      uid: 1000,
      gid: 1001,
      home: '/home/alice',
      shell: '/bin/zsh',
      supplementaryGids: [10, 44],
    });
  });

  it('has a home and a shell for a user who names none', async () => {
    expect(await findAccount('bare', files)).to.include({ home: '/', shell: '/bin/sh' });
  });

  it('does not know users who are absent or whose line is broken', async () => {
    for (const name of ['nobody', 'broken', 'short', 'ali', '']) {
      expect(await findAccount(name, files)).to.equal(undefined);
    }
  });

  it('names users and groups by their numbers, the first of several', async () => {
    await writeFile(files.passwdPath, `${PASSWD}\ntoor:x:0:0:::\n`);

    const { users, groups } = await readAccountNames(files);

    expect([...users]).to.deep.equal([
      [0, 'root'],
      [1000, 'alice'],
      [1002, 'bare'],
    ]);
    expect([...groups.keys()]).to.deep.equal([1001, 10, 44]);
  });

  it('knows root, and nobody else, where there are no files', async () => {
    const absent = { passwdPath: join(folder, 'no'), groupPath: join(folder, 'no') };

    expect(await findAccount('root', absent)).to.include({ uid: 0, gid: 0, home: '/root' });
    expect(await findAccount('alice', absent)).to.equal(undefined);
  });
});
