import { expect } from 'chai';
import { Snapshot, SnapshotType } from '../../gen/ts/wrenn/v1/snapshot.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';

const BASE = Snapshot.fromPartial({
  snapshotId: 'base1',
  name: 'minimal',
  type: SnapshotType.SNAPSHOT_TYPE_BASE,
});
const READY = Snapshot.fromPartial({
  snapshotId: 'sn1',
  name: 'ready',
  type: SnapshotType.SNAPSHOT_TYPE_SNAPSHOT,
  sandboxId: 'sb1',
  vcpus: 2,
  memoryMb: 512,
  sizeBytes: 1.5 * 1024 ** 2,
});

const listed: NonNullable<Script['snapshots']> = {
  listSnapshots: async (_, { pageToken }) =>
    pageToken === ''
      ? { snapshots: [READY], nextPageToken: 'more' }
      : { snapshots: [BASE], nextPageToken: '' },
};

async function against(
  snapshots: NonNullable<Script['snapshots']>,
  use: (cli: CommandLine) => Promise<void>,
): Promise<void> {
  await using server = await startApiServer({ snapshots });
  await using cli = await commandLine(server.address);
  await use(cli);
}

describe('wrenn snapshot', () => {
  it('create prints the name alone, also one that the server makes up', async () => {
    const createSnapshot: NonNullable<Script['snapshots']>['createSnapshot'] = async (
      _,
      { sandboxId, name },
    ) => Snapshot.fromPartial({ snapshotId: 'sn1', sandboxId, name: name || 'made-up' });
    await against({ createSnapshot }, async (cli) => {
      const named = await cli.run(['snapshot', 'create', 'sb1', 'ready']);
      expect(named).to.deep.equal({ exitCode: 0, stdout: 'ready\n', stderr: '' });
      expect((await cli.run(['snapshot', 'create', 'sb1'])).stdout).to.equal('made-up\n');
      const json = await cli.run(['snapshot', 'create', 'sb1', '--json']);
      expect(JSON.parse(json.stdout)).to.include({ snapshot_id: 'sn1', sandbox_id: 'sb1' });
    });
  });

  it('ls shows all pages, with sizes for people and in bytes for programs', async () => {
    await against(listed, async (cli) => {
      const [heading, first, second] = (await cli.run(['snapshot', 'ls'])).stdout.split('\n');
      expect(heading).to.match(/^NAME +ID +TYPE +SANDBOX +VCPUS +MEMORY +SIZE +CREATED$/);
      expect(first).to.match(/^ready +sn1 +SNAPSHOT +sb1 +2 +512 MiB +1\.5 MiB/);
      expect(second).to.match(/^minimal +base1 +BASE +any +any +never$/);

      const { snapshots } = JSON.parse((await cli.run(['snapshot', 'ls', '--json'])).stdout);
      expect(snapshots).to.have.length(2);
      expect(snapshots[0]).to.include({ name: 'ready', size_bytes: 1_572_864 });
    });
  });

  it('show finds a snapshot by its name and by its id', async () => {
    await against(listed, async (cli) => {
      const byName = await cli.run(['snapshot', 'show', 'ready']);
      expect(byName.stdout)
        .to.match(/^NAME +ready$/m)
        .and.match(/^SIZE +1\.5 MiB$/m);
      expect((await cli.run(['snapshot', 'show', 'sn1'])).stdout).to.equal(byName.stdout);
      const json = await cli.run(['snapshot', 'show', 'minimal', '--json']);
      expect(JSON.parse(json.stdout)).to.include({ type: 'SNAPSHOT_TYPE_BASE' });
    });
  });

  it('rm deletes each one that is named, and says which one there is not', async () => {
    const deleted: string[] = [];
    const deleteSnapshot = async (_: unknown, { snapshotId }: { snapshotId: string }) => {
      deleted.push(snapshotId);
      return {};
    };
    await against({ ...listed, deleteSnapshot }, async (cli) => {
      const { exitCode, stdout, stderr } = await cli.run(['snapshot', 'rm', 'ready', 'gone']);
      expect(exitCode).to.equal(1);
      expect(stdout).to.equal('ready\n');
      expect(stderr).to.include('gone');
      expect(deleted).to.deep.equal(['sn1']);

      const json = await cli.run(['snapshot', 'rm', 'ready', '--json']);
      expect(JSON.parse(json.stdout)).to.deep.equal({ snapshot_ids: ['sn1'] });
    });
  });

  it('rm says what to do with one that is in use', async () => {
    const deleteSnapshot = async () => {
      throw new WrennError(Code.FAILED_PRECONDITION, 'SNAPSHOT_IN_USE', 'in use');
    };
    await against({ ...listed, deleteSnapshot }, async (cli) => {
      const { exitCode, stderr } = await cli.run(['snapshot', 'rm', 'ready']);
      expect(exitCode).to.equal(1);
      expect(stderr.trim().split('\n')).to.have.length(2);
    });
  });
});
