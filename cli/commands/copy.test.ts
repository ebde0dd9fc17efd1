import { chmod, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { FILE_BYTES_MAX } from '../../clients/typescript/index.js';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';

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
      writeFile: async (_, { sandboxId, path, file, mode }) => {
        files.set(`${sandboxId}:${path}`, { content: file, mode });
        return { path, sizeBytes: file.length };
      },
      readFile: async (_, { sandboxId, path }) =>
        HttpBody.fromPartial({ data: files.get(`${sandboxId}:${path}`)?.content ?? Buffer.of() }),
    },
  });
  await using folder = await temporaryDirectory();
  await using cli = await commandLine(server.address);
  await use({ cli, folder: folder.path, files });
}

describe('wrenn sandbox cp', () => {
  it('copies bytes and permissions into a sandbox and bytes out of it', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      const [source, target] = [join(folder, 'run.sh'), join(folder, 'back.sh')];
      await writeFile(source, Buffer.of(0, 255, 10));
      await chmod(source, 0o755);

      expect((await cli.run(['sandbox', 'cp', source, 'sb1:/root/run.sh'])).exitCode).to.equal(0);
      expect(files.get('sb1:/root/run.sh')?.mode).to.equal(0o755);
      expect((await cli.run(['sandbox', 'cp', 'sb1:/root/run.sh', target])).exitCode).to.equal(0);
      expect([...(await readFile(target))]).to.deep.equal([0, 255, 10]);
    });
  });

  it('keeps the name when the target is a folder', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      await writeFile(join(folder, 'note.txt'), 'hello');
      await mkdir(join(folder, 'into'));
      await cli.run(['sandbox', 'cp', join(folder, 'note.txt'), 'sb1:/root/']);
      expect([...files.keys()]).to.deep.equal(['sb1:/root/note.txt']);
      await cli.run(['sandbox', 'cp', 'sb1:/root/note.txt', join(folder, 'into')]);
      expect(await readFile(join(folder, 'into/note.txt'), 'utf8')).to.equal('hello');
    });
  });

  it('takes standard input and output as -', async () => {
    await withRemote(async ({ cli }) => {
      await cli.run(['sandbox', 'cp', '-', 'sb1:/root/note.txt'], 'piped');
      const { stdout } = await cli.run(['sandbox', 'cp', 'sb1:/root/note.txt', '-']);
      expect(stdout).to.equal('piped');
    });
  });

  it('refuses what cannot be copied, before it calls anything', async () => {
    await withRemote(async ({ cli, folder, files }) => {
      const large = join(folder, 'large');
      await writeFile(large, '');
      await truncate(large, FILE_BYTES_MAX + 1);
      for (const [source, target] of [
        ['a.txt', 'b.txt'],
        ['sb1:/a', 'sb2:/b'],
        [join(folder, 'absent'), 'sb1:/a'],
        [folder, 'sb1:/a'],
        [large, 'sb1:/a'],
        [large, 'sb1:relative'],
        ['-', 'sb1:/folder/'],
      ] as [string, string][]) {
        const { exitCode, stderr } = await cli.run(['sandbox', 'cp', source, target]);
        expect(exitCode, `${source} ${target}`).to.equal(1);
        expect(stderr).to.match(/^wrenn: /);
      }
      expect(files.size).to.equal(0);
    });
  });
});
