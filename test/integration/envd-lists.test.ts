/** What the real guest daemon says of files and directories. */
import { execFileSync } from 'node:child_process';
import { chmod, chown, lchown, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findAccount } from '../../envd/accounts.js';
import { type FileInfo, FileType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code } from '../../lib/errors/index.js';
import { type EnvdProcess, startEnvd } from '../support/envd.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';

const NAME_BYTES_MAX = 255;
const NOT_USABLE = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' } as const;
const NOT_FOUND = { code: Code.NOT_FOUND, reason: 'FILE_NOT_FOUND' } as const;

describe('envd telling of files', function () {
  this.timeout(60_000);
  let envd: EnvdProcess;
  let folder: string;
  let made = 0;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
  });

  after(async () => {
    await envd?.stop();
  });

  beforeEach(async () => {
    made += 1;
    folder = join(envd.directory, `lists-${made}`);
    await mkdir(folder);
  });

  const at = (path: string) => join(folder, path);
  const shell = (script: string) => execFileSync('bash', ['-ec', script], { cwd: folder });
  const statOf = (path: string) => envd.files.stat({ path }, envd.options);
  const remove = (path: string) => envd.files.remove({ path }, envd.options);
  const list = (path: string, depth = 1, entriesMax = 1000, after = '') =>
    envd.files.listDir({ path, depth, entriesMax, after }, envd.options);

  /** Names below the folder, part by part. */
  async function listAll(depth: number, entriesMax: number): Promise<string[]> {
    const paths: string[] = [];
    for (let after = ''; ; after = paths.at(-1) ?? '') {
      const { entries, hasMore } = await list(folder, depth, entriesMax, after);
      expect(entries.length).to.be.at.most(entriesMax);
      paths.push(...entries.map(({ path }) => path));
      if (!hasMore) return paths.map((path) => path.slice(folder.length + 1));
      expect(entries.length).to.equal(entriesMax);
    }
  }

  describe('tell of a path', () => {
    it('type, size, mode, names of owner and group, and time', async () => {
      const nobody = await findAccount('nobody');
      await writeFile(at('file'), 'four');
      await chown(at('file'), nobody?.uid ?? 0, 4242);
      await chmod(at('file'), 0o4750);
      await utimes(at('file'), 1, 1_700_000_000.5);

      expect(await statOf(at('file'))).to.deep.equal({
        path: at('file'),
        type: FileType.FILE_TYPE_FILE,
        sizeBytes: 4n,
        mode: 0o4750,
        owner: 'nobody',
        group: '4242',
        modifiedAtNs: 1_700_000_000_500_000_000n,
        symlinkTarget: '',
      });
    });

    it('of a link the link itself', async () => {
      await symlink('no/where', at('link'));
      await lchown(at('link'), 4001, 0);

      expect(await statOf(at('link'))).to.include({
        type: FileType.FILE_TYPE_SYMLINK,
        symlinkTarget: 'no/where',
        owner: '4001',
        group: 'root',
      });
    });

    it('directories, pipes and devices', async () => {
      shell('mkfifo fifo');

      expect((await statOf(folder)).type).to.equal(FileType.FILE_TYPE_DIRECTORY);
      expect((await statOf(at('fifo'))).type).to.equal(FileType.FILE_TYPE_OTHER);
      expect((await statOf('/dev/null')).type).to.equal(FileType.FILE_TYPE_OTHER);
    });

    it('what is wrong with it', async () => {
      await writeFile(at('file'), '');

      expect(await rejectionOf(statOf(at('none')))).to.include(NOT_FOUND);
      expect(await rejectionOf(statOf(at('file/below')))).to.include(NOT_USABLE);
      expect(await rejectionOf(statOf(`/${'n'.repeat(5000)}`))).to.include(NOT_USABLE);
      expect(await reasonOf(statOf('relative'))).to.equal('INVALID_REQUEST');
      expect(await reasonOf(statOf('/a\0b'))).to.equal('INVALID_REQUEST');
    });
  });

  describe('list', () => {
    it('each directory before what is in it, in the order of names', async () => {
      shell('mkdir -p b/y/deep a.b a; touch b/x b/y/deep/f a/z a.b/0 c');

      const all = ['a', 'a/z', 'a.b', 'a.b/0', 'b', 'b/x', 'b/y', 'b/y/deep', 'b/y/deep/f', 'c'];
      for (const size of [1, 2, 3, 7, 1000]) {
        expect(await listAll(9, size)).to.deep.equal(all);
        expect(await listAll(2, size)).to.deep.equal(all.filter((path) => !/deep/.test(path)));
        expect(await listAll(1, size)).to.deep.equal(['a', 'a.b', 'b', 'c']);
      }
    });

    it('goes on where entries have vanished in between', async () => {
      shell('mkdir -p a/b c; touch a/b/1 a/b/2 a/b/3 c/1');

      expect(paths(await list(folder, 3, 1000, at('a/b/1')))).to.deep.equal([
        at('a/b/2'),
        at('a/b/3'),
        at('c'),
        at('c/1'),
      ]);
      await rm(at('a/b'), { recursive: true });
      expect(paths(await list(folder, 3, 1000, at('a/b/1')))).to.deep.equal([at('c'), at('c/1')]);
      await writeFile(at('a/b'), 'a file now');
      expect(paths(await list(folder, 3, 1000, at('a/b/1')))).to.deep.equal([at('c'), at('c/1')]);
    });

    it('follows a link to the directory, and none below it', async () => {
      shell('mkdir real; touch real/file; ln -s real link; ln -s .. real/loop');

      expect(paths(await list(at('link'), 50))).to.deep.equal([at('link/file'), at('link/loop')]);
    });

    it('shows names of any bytes, and what is in such directories', async () => {
      const long = 'n'.repeat(NAME_BYTES_MAX);
      shell(`mkdir $'\\xff\\xfe'; touch $'\\xff\\xfe/in' $'line\\nfeed' ${long} ' '`);

      const names = ['\uFFFD\uFFFD', '\uFFFD\uFFFD/in', ' ', 'line\nfeed', long];
      expect(await listAll(2, 1000)).to.deep.equal([...names].sort(byParts));
      expect(await listAll(2, 1)).to.deep.equal([...names].sort(byParts));
    });

    it('lists as deep as paths go', async () => {
      const name = 'd'.repeat(200);
      shell(`for i in $(seq 30); do mkdir ${name}; cd ${name}; done`);

      const found = await listAll(1000, 7);

      expect(found.length).to.be.within(18, 20);
      expect(found.at(-1)).to.equal(Array(found.length).fill(name).join('/'));
      // Deeper than the end of the test could remove it.
      await remove(at(name));
    });

    it('a large directory in parts, each entry once', async () => {
      shell('seq -f f%g 5000 | xargs touch');

      const found = await listAll(1, 1000);

      expect(found).to.have.length(5_000);
      expect(new Set(found).size).to.equal(5_000);
      expect([...found].sort()).to.deep.equal(found);
    });

    it('hides files that are being written', async () => {
      await writeFile(at('.wrenn-1-2-3.tmp'), '');
      await writeFile(at('.wrenn-user.tmp'), '');

      expect(await listAll(1, 10)).to.deep.equal(['.wrenn-user.tmp']);
    });

    it('says what is wrong with the call', async () => {
      await writeFile(at('file'), '');

      expect(await rejectionOf(list(at('none')))).to.include(NOT_FOUND);
      expect(await rejectionOf(list(at('file')))).to.include(NOT_USABLE);
      for (const call of [
        list(folder, 0),
        list(folder, 1, 0),
        list(folder, 1, 1001),
        list(folder, 1, 1, '/elsewhere/file'),
        list(folder, 1, 1, folder),
      ]) {
        expect(await reasonOf(call)).to.equal('INVALID_REQUEST');
      }
    });
  });
});

function paths({ entries }: { entries: FileInfo[] }): string[] {
  return entries.map(({ path }) => path);
}

/** As the daemon sorts: part by part. */
function byParts(left: string, right: string): number {
  const [ours, theirs] = [left.split('/'), right.split('/')];
  for (let index = 0; index < Math.min(ours.length, theirs.length); index += 1) {
    const [one = '', other = ''] = [ours[index], theirs[index]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return ours.length - theirs.length;
}
