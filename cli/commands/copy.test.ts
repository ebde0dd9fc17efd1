import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { FileInfo } from '../../gen/ts/wrenn/v1/file.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';

/** More than one call without a stream carries. */
const LARGE_BYTES = 5_000_000;
const PIECE_BYTES = 65_536;
/** A file that breaks off after its first piece. */
const BROKEN = '/broken';

interface Remote {
  cli: CommandLine;
  /** Local folder of the test. */
  folder: string;
  files: Map<string, { content: Buffer; mode: number }>;
}

async function withRemote(use: (remote: Remote) => Promise<void>): Promise<void> {
  const files: Remote['files'] = new Map();
  await using server = await startApiServer({
    files: {
      streamWriteFile: async (_, requests) => {
        const pieces: Buffer[] = [];
        let named = { sandboxId: '', path: '', mode: 0 };
        for await (const { file, ...fields } of requests) {
          if (fields.path !== '') named = fields;
          if (file) pieces.push(file.data);
        }
        const content = Buffer.concat(pieces);
        files.set(`${named.sandboxId}:${named.path}`, { content, mode: named.mode });
        return { path: named.path, sizeBytes: content.length };
      },
      streamReadFile: async function* (_, { sandboxId, path }) {
        const { content } = files.get(`${sandboxId}:${path}`) ?? { content: Buffer.from('half') };
        for (let from = 0; from < content.length; from += PIECE_BYTES) {
          yield HttpBody.fromPartial({ data: content.subarray(from, from + PIECE_BYTES) });
        }
        if (path === BROKEN) throw new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', 'broken');
      },
      stat: async (_, { sandboxId, path }) => {
        const sizeBytes = files.get(`${sandboxId}:${path}`)?.content.length ?? 0;
        return FileInfo.fromPartial({ permissions: '-rw-r--r--', sizeBytes });
      },
    },
  });
  await using folder = await temporaryDirectory();
  await using cli = await commandLine(server.address);
  await use({ cli, folder: folder.path, files });
}

describe('wrenn cp', () => {
  it('copies bytes and permissions into a sandbox and bytes out of it', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      const [source, target] = [join(folder, 'run.sh'), join(folder, 'back.sh')];
      const content = Buffer.from(Array.from({ length: LARGE_BYTES }, (_, index) => index % 251));
      await writeFile(source, content);
      await chmod(source, 0o755);

      const up = await cli.run(['cp', source, 'sb1:/root/run.sh']);
      expect(up).to.deep.equal({
        exitCode: 0,
        stdout: `${LARGE_BYTES} bytes to /root/run.sh\n`,
        stderr: '',
      });
      expect(files.get('sb1:/root/run.sh')?.mode).to.equal(0o755);
      const down = await cli.run(['sandbox', 'cp', 'sb1:/root/run.sh', target]);
      expect(down.stdout).to.equal(`${LARGE_BYTES} bytes to ${target}\n`);
      expect((await readFile(target)).equals(content)).to.equal(true);
    });
  });

  it('keeps the name when the target is a folder', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      await writeFile(join(folder, 'note.txt'), 'hello');
      await mkdir(join(folder, 'into'));
      await cli.run(['cp', join(folder, 'note.txt'), 'sb1:/root/']);
      expect([...files.keys()]).to.deep.equal(['sb1:/root/note.txt']);
      await cli.run(['cp', 'sb1:/root/note.txt', join(folder, 'into')]);
      expect(await readFile(join(folder, 'into/note.txt'), 'utf8')).to.equal('hello');
    });
  });

  it('takes standard input and output as -', async () => {
    await withRemote(async ({ cli }) => {
      await cli.run(['cp', '-', 'sb1:/root/note.txt'], 'piped');
      const { stdout } = await cli.run(['cp', 'sb1:/root/note.txt', '-']);
      expect(stdout).to.equal('piped');
    });
  });

  it('leaves what was there, and nothing else, when a copy breaks off', async () => {
    await withRemote(async ({ cli, folder }) => {
      await writeFile(join(folder, 'kept'), 'as before');
      for (const name of ['kept', 'new']) {
        const outcome = await cli.run(['cp', `sb1:${BROKEN}`, join(folder, name)]);
        expect(outcome).to.include({ exitCode: 1, stdout: '' });
      }
      expect(await readdir(folder)).to.deep.equal(['kept']);
      expect(await readFile(join(folder, 'kept'), 'utf8')).to.equal('as before');
    });
  });

  it('replaces what a link points to, with its permissions, and writes devices as they are', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      files.set('sb1:/a', { content: Buffer.from('fresh'), mode: 0 });
      await writeFile(join(folder, 'target'), 'stale', { mode: 0o600 });
      await symlink('target', join(folder, 'link'));
      await cli.run(['cp', 'sb1:/a', join(folder, 'link')]);
      expect(await readFile(join(folder, 'target'), 'utf8')).to.equal('fresh');
      expect((await stat(join(folder, 'target'))).mode & 0o777).to.equal(0o600);
      expect((await readdir(folder)).sort()).to.deep.equal(['link', 'target']);

      await cli.run(['cp', 'sb1:/a', '/dev/null']);
      expect((await stat('/dev/null')).isCharacterDevice()).to.equal(true);
    });
  });

  it('shows how far it has come on a terminal, and takes that away', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      files.set('sb1:/a', { content: Buffer.alloc(LARGE_BYTES), mode: 0 });
      const stderr = Object.assign(new PassThrough(), { isTTY: true });
      await cli.run(['cp', 'sb1:/a', join(folder, 'a')], '', { stderr });
      const shown = stderr.read().toString();
      expect(shown.startsWith('\r\x1b[Ka  [')).to.equal(true);
      expect(shown).to.match(/\[#*\.*\] +\d+ % of 4\.8 MiB {2}\d/);
      expect(shown.endsWith('\r\x1b[K')).to.equal(true);
    });
  });

  it('refuses what cannot be copied, before it calls anything', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      for (const [source, target] of [
        ['a.txt', 'b.txt'],
        ['sb1:/a', 'sb2:/b'],
        [join(folder, 'absent'), 'sb1:/a'],
        [folder, 'sb1:/a'],
        ['-', 'sb1:/folder/'],
        ['sb1:relative', join(folder, 'a')],
      ] as [string, string][]) {
        const { exitCode, stderr } = await cli.run(['cp', source, target]);
        expect(exitCode, `${source} ${target}`).to.equal(1);
        expect(stderr).to.match(/^wrenn: /);
      }
      expect(files.size).to.equal(0);
    });
  });
});
