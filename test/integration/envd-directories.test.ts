/** How the real guest daemon makes, moves and removes files and directories. */
import { execFileSync } from 'node:child_process';
import { lstat, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findAccount } from '../../envd/accounts.js';
import { FileType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code } from '../../lib/errors/index.js';
import { type EnvdProcess, isAlive, startEnvd } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';

const NAME_BYTES_MAX = 255;
const NOT_USABLE = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' } as const;
const EXISTS = { code: Code.ALREADY_EXISTS, reason: 'FILE_EXISTS' } as const;
const NOT_FOUND = { code: Code.NOT_FOUND, reason: 'FILE_NOT_FOUND' } as const;

describe('envd making, moving and removing', function () {
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
    folder = join(envd.directory, `directories-${made}`);
    await mkdir(folder);
  });

  const at = (path: string) => join(folder, path);
  const shell = (script: string) => execFileSync('bash', ['-ec', script], { cwd: folder });
  const statOf = (path: string) => envd.files.stat({ path }, envd.options);
  const makeDir = (path: string, user = '', mode = 0) =>
    envd.files.makeDir({ path, user, mode }, envd.options);
  const move = (source: string, destination: string, user = '') =>
    envd.files.move({ source, destination, user }, envd.options);
  const remove = (path: string) => envd.files.remove({ path }, envd.options);

  describe('make a directory', () => {
    it('and those above it, with owner and mode, whatever the umask', async () => {
      const nobody = await findAccount('nobody');

      const info = await makeDir(at('a/b'), 'nobody', 0o2777);

      expect(info).to.include({ path: at('a/b'), owner: 'nobody', mode: 0o2777 });
      for (const path of ['a', 'a/b']) {
        expect(await stat(at(path))).to.include({ uid: nobody?.uid });
        expect((await stat(at(path))).mode & 0o7777).to.equal(0o2777);
      }
      expect((await makeDir(at('c/'))).mode).to.equal(0o755);
    });

    it('which may be there already, also as a link to one', async () => {
      shell('mkdir -m 700 there; ln -s there link');

      expect(await makeDir(at('there'), 'nobody', 0o777)).to.include({ mode: 0o700 });
      expect((await makeDir(at('link'))).type).to.equal(FileType.FILE_TYPE_DIRECTORY);
      expect((await makeDir('/')).type).to.equal(FileType.FILE_TYPE_DIRECTORY);
    });

    it('but not where something else is', async () => {
      shell('touch file; ln -s nowhere dangling');

      expect(await rejectionOf(makeDir(at('file')))).to.include(EXISTS);
      expect(await rejectionOf(makeDir(at('dangling')))).to.include(EXISTS);
      expect(await rejectionOf(makeDir(at('file/below')))).to.include(NOT_USABLE);
      expect(await rejectionOf(makeDir('/proc/new'))).to.include(NOT_USABLE);
      expect(await rejectionOf(makeDir(at('x'), 'no-such-user'))).to.include(NOT_USABLE);
      expect(await reasonOf(makeDir(at('x'), '', 0o10000))).to.equal('INVALID_REQUEST');
    });

    it('in a race with others who make the same', async () => {
      const calls = Array.from({ length: 32 }, (_, index) => makeDir(at(`r/a/c/e/${index % 4}`)));

      await Promise.all(calls);

      expect(await readdir(at('r/a/c/e'))).to.have.members(['0', '1', '2', '3']);
    });
  });

  describe('move', () => {
    it('a file over another one, into folders that are missing', async () => {
      shell('echo new > new; echo old > old');

      expect(await move(at('new'), at('old'))).to.include({ path: at('old'), sizeBytes: 4n });
      expect(await move(at('old'), at('a/b/moved'), 'nobody')).to.include({ owner: 'root' });

      expect(await readFile(at('a/b/moved'), 'utf8')).to.equal('new\n');
      expect((await statOf(at('a/b'))).owner).to.equal('nobody');
      expect(await readdir(folder)).to.deep.equal(['a']);
    });

    it('a directory, also onto an empty one, and a link without following it', async () => {
      shell('mkdir -p full empty; touch full/file; ln -s full link');

      await move(at('full'), at('empty'));
      await move(at('link'), at('empty/link'));

      expect(await readdir(at('empty'))).to.have.members(['file', 'link']);
      expect((await lstat(at('empty/link'))).isSymbolicLink()).to.equal(true);
    });

    it('not onto what cannot be replaced', async () => {
      shell('mkdir -p one two/full; touch file one/file');

      expect(await rejectionOf(move(at('one'), at('two')))).to.include(EXISTS);
      expect(await rejectionOf(move(at('one'), at('file')))).to.include(EXISTS);
      expect(await rejectionOf(move(at('file'), at('one')))).to.include(EXISTS);
      expect(await rejectionOf(move(at('file'), at('one/file/below')))).to.include(NOT_USABLE);
    });

    it('not into itself, and leaves no folders behind', async () => {
      shell('mkdir one; ln -s one link');

      for (const inside of ['one/two', 'one/a/b', 'link/a/b']) {
        expect(await rejectionOf(move(at('one'), at(inside)))).to.include(NOT_USABLE);
      }
      expect(await readdir(at('one'))).to.deep.equal([]);
      await move(at('link'), at('one/a/b'));
      expect((await lstat(at('one/a/b'))).isSymbolicLink()).to.equal(true);
    });

    it('not what is missing, and makes no folders for it', async () => {
      expect(await rejectionOf(move(at('none'), at('a/b')))).to.include(NOT_FOUND);
      expect(await readdir(folder)).to.deep.equal([]);
    });

    it('not to another filesystem', async () => {
      shell('mkdir other; touch file; mount -t tmpfs tmpfs other');
      try {
        const error = await rejectionOf(move(at('file'), at('other/file')));

        expect(error).to.include(NOT_USABLE);
        expect(error.metadata).to.include({ failure: 'file_other_filesystem' });
        expect(await reasonOf(move(at('other'), at('elsewhere')))).to.equal('FILE_NOT_USABLE');
      } finally {
        shell('umount other');
      }
    });
  });

  describe('remove', () => {
    it('a file, a pipe, and a link without what it leads to', async () => {
      shell('touch file; mkfifo fifo; mkdir kept; touch kept/file; ln -s kept link; ln -s no dead');

      for (const name of ['file', 'fifo', 'link', 'dead']) await remove(at(name));

      expect(await readdir(folder)).to.deep.equal(['kept']);
      expect(await readdir(at('kept'))).to.deep.equal(['file']);
    });

    it('a directory with all that is in it, of any names and any number', async () => {
      shell(`mkdir -p tree/a/b kept; touch kept/file; ln -s ../kept tree/link
        seq -f tree/a/f%g 3000 | xargs touch
        touch $'tree/a/b/\\xff' $'tree/line\\nfeed' tree/${'n'.repeat(NAME_BYTES_MAX)}`);

      await remove(at('tree'));

      expect(await readdir(folder)).to.deep.equal(['kept']);
      expect(await readdir(at('kept'))).to.deep.equal(['file']);
    });

    it('a directory that is deeper than paths go', async () => {
      const name = 'd'.repeat(200);
      shell(`mkdir top; cd top; for i in $(seq 60); do mkdir ${name}; cd ${name}; touch f; done`);

      await remove(at('top'));

      expect(await readdir(folder)).to.deep.equal([]);
    });

    it('not what is missing or is no directory', async () => {
      shell('touch file; ln -s . link');

      expect(await rejectionOf(remove(at('none')))).to.include(NOT_FOUND);
      expect(await rejectionOf(remove(at('file/below')))).to.include(NOT_USABLE);
      expect(await rejectionOf(remove(at('file/')))).to.include(NOT_USABLE);
      expect(await rejectionOf(remove(at('link/')))).to.include(NOT_USABLE);
    });

    it('nothing that holds the mount point of a filesystem', async () => {
      shell("mkdir -p 'in/a b'; mount -t tmpfs tmpfs 'in/a b'; touch 'in/a b/kept'; ln -s in link");
      try {
        for (const path of [at('in'), at('in/a b'), at('link/a b'), '/', '/proc', '/proc/', '//']) {
          const error = await rejectionOf(remove(path));

          expect(error, path).to.include(NOT_USABLE);
          expect(error.metadata, path).to.include({ failure: 'file_mount_point' });
        }
        expect(await rejectionOf(remove('/proc/self/status'))).to.include(NOT_USABLE);
        expect(await readdir(at('in/a b'))).to.deep.equal(['kept']);
      } finally {
        shell("umount 'in/a b'");
      }
    });

    it('stops when the caller goes away, and the daemon lives on', async () => {
      shell('mkdir -p $(seq -f tree/%g 3000)');
      const cancel = new AbortController();
      const removing = rejectionOf(
        envd.files.remove({ path: at('tree') }, { ...envd.options, signal: cancel.signal }),
      );
      await eventually(async () => expect(await readdir(at('tree'))).to.have.length.below(3000));

      cancel.abort(new Error('gone'));
      await removing;

      expect(await isAlive(envd.pid)).to.equal(true);
      await remove(at('tree'));
    });
  });
});
