import { expect } from 'chai';
import {
  FileEvent,
  FileEventType,
  FileInfo,
  FileType,
  type ListDirRequest,
  type MakeDirRequest,
} from '../../gen/ts/wrenn/v1/file.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';

type FileScript = NonNullable<Script['files']>;

async function against(files: FileScript, use: (cli: CommandLine) => Promise<void>): Promise<void> {
  await using server = await startApiServer({ files });
  await using cli = await commandLine(server.address);
  await use(cli);
}

const HOSTILE = 'x\x1b[2Jy';
const ENTRIES: FileInfo[] = [
  FileInfo.fromPartial({
    path: '/etc/apt',
    type: FileType.FILE_TYPE_DIRECTORY,
    permissions: 'drwxr-xr-x',
    owner: 'root',
    group: 'staff',
    sizeBytes: 4096,
    modifiedAt: { seconds: 1_700_000_000, nanos: 5_000_000 },
  }),
  FileInfo.fromPartial({ path: '/etc/apt/list', symlinkTarget: '../up' }),
  FileInfo.fromPartial({ path: `/etc/${HOSTILE}`, type: FileType.FILE_TYPE_FILE }),
];

describe('wrenn file ls', () => {
  const listing = (asked: ListDirRequest[] = []): FileScript => ({
    listDir: async (_, request) => {
      asked.push(request);
      const isFirst = request.pageToken === '';
      return {
        entries: isFirst ? ENTRIES.slice(0, 2) : ENTRIES.slice(2),
        nextPageToken: isFirst ? 'second' : '',
      };
    },
  });

  it('prints names below the directory, of all pages, and obeys none of them', async () => {
    const asked: ListDirRequest[] = [];
    await against(listing(asked), async (cli) => {
      const { stdout } = await cli.run(['file', 'ls', 'sb1', '/etc', '--depth', '2']);
      expect(stdout).to.equal('apt/\napt/list\nx\\x1b[2Jy\n');
      expect(asked[0]).to.include({ sandboxId: 'sb1', path: '/etc', depth: 2 });
    });
  });

  it('prints what is known of each with -l', async () => {
    await against(listing(), async (cli) => {
      const lines = (await cli.run(['file', 'ls', '-l', 'sb1', '/etc/'])).stdout.split('\n');
      expect(lines[0]).to.match(/^PERMISSIONS +OWNER +GROUP +SIZE +MODIFIED +NAME$/);
      expect(lines[1]).to.match(/^drwxr-xr-x +root +staff +4\.0 KiB +2023-11-14T22:13:20Z +apt\/$/);
      expect(lines[2]).to.match(/apt\/list -> \.\.\/up$/);
    });
  });

  it('answers as the API does with --json', async () => {
    await against(listing(), async (cli) => {
      const { stdout } = await cli.run(['file', 'ls', '--json', 'sb1', '/etc']);
      const { entries } = JSON.parse(stdout);
      expect(entries.map(({ path }: { path: string }) => path)).to.deep.equal(
        ENTRIES.map(({ path }) => path),
      );
    });
  });
});

describe('wrenn file', () => {
  it('shows what is at a path', async () => {
    const stat = async () => FileInfo.fromPartial({ ...ENTRIES[0], mode: 0o755 });
    await against({ stat }, async (cli) => {
      const { stdout } = await cli.run(['file', 'stat', 'sb1', '/etc/apt']);
      expect(stdout).to.match(/^PATH +\/etc\/apt\nTYPE +DIRECTORY\nSIZE +4096 bytes\n/);
      expect(stdout).to.match(/PERMISSIONS +drwxr-xr-x \(0755\)\nOWNER +root:staff\n/);
      const json = JSON.parse((await cli.run(['file', 'stat', 'sb1', '/', '--json'])).stdout);
      expect(json).to.include({ type: 'FILE_TYPE_DIRECTORY', mode: 493 });
    });
  });

  it('makes directories with the permissions that are given in octal', async () => {
    const made: MakeDirRequest[] = [];
    const makeDir = async (_: unknown, request: MakeDirRequest) => {
      made.push(request);
      return FileInfo.fromPartial({ path: request.path });
    };
    await against({ makeDir }, async (cli) => {
      const { stdout } = await cli.run(['file', 'mkdir', 'sb1', '/a', '/b', '--mode', '700']);
      expect(stdout).to.equal('/a\n/b\n');
      expect(made.map(({ mode }) => mode)).to.deep.equal([0o700, 0o700]);
      expect((await cli.run(['file', 'mkdir', 'sb1', '/a', '--mode', '9'])).exitCode).to.equal(1);
      expect(made).to.have.length(2);
    });
  });

  it('moves and removes, and says which path has failed', async () => {
    const move: Required<FileScript>['move'] = async (_, request) => {
      const path = `${request.source} is ${request.destination}`;
      return FileInfo.fromPartial({ path });
    };
    const removed: string[] = [];
    const remove = async (_: unknown, { path }: { path: string }) => {
      if (path === '/gone') throw new WrennError(Code.NOT_FOUND, 'FILE_NOT_FOUND', 'no file');
      removed.push(path);
      return {};
    };
    await against({ move, remove }, async (cli) => {
      expect((await cli.run(['file', 'mv', 'sb1', '/a', '/b'])).stdout).to.equal('/a is /b\n');
      const outcome = await cli.run(['file', 'rm', 'sb1', '/a', '/gone', '/c']);
      expect(outcome).to.include({ exitCode: 1, stdout: '/a\n' });
      expect(removed).to.deep.equal(['/a']);
    });
  });

  it('prints events as they come until the watch ends', async () => {
    const events = [
      { type: FileEventType.FILE_EVENT_TYPE_READY, path: '/w', isDirectory: true },
      { type: FileEventType.FILE_EVENT_TYPE_RENAME, path: '/w/b', oldPath: '/w/a' },
      { type: FileEventType.FILE_EVENT_TYPE_CREATE, path: `/w/${HOSTILE}` },
    ];
    let isRecursive = false;
    const watchDir: Required<FileScript>['watchDir'] = async function* (_, { recursive }) {
      isRecursive = recursive;
      for (const event of events) yield FileEvent.fromPartial(event);
    };
    await against({ watchDir }, async (cli) => {
      const { stdout } = await cli.run(['file', 'watch', '-r', 'sb1', '/w']);
      expect(isRecursive).to.equal(true);
      expect(stdout.split('\n').slice(0, 3)).to.deep.equal([
        'READY     /w/',
        'RENAME    /w/a -> /w/b',
        'CREATE    /w/x\\x1b[2Jy',
      ]);
      const json = (await cli.run(['file', 'watch', 'sb1', '/w', '--json'])).stdout.split('\n');
      expect(JSON.parse(json[1] ?? '')).to.include({ old_path: '/w/a', path: '/w/b' });
    });
  });
});
