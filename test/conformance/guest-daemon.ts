/**
 * What every guest daemon must do, as one suite: the real one and the fake
 * one, so that tests on fakes prove something about sandboxes.
 */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { CAPTURED_BYTES_MAX } from '../../agent/guest/command-result.js';
import { GuestClient, type GuestRestore } from '../../agent/guest/guest-client.js';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { guestCommand } from '../support/guest-command.js';

const READY_TIMEOUT_MS = 20_000;
const TOKEN = 'token-of-a-sandbox-0123456789';
const NEW_TOKEN = 'token-of-a-restored-sandbox-01';
const MACHINE_ID = 'fedcba9876543210fedcba9876543210';

export interface GuestDaemonFixture {
  /** gRPC target of a daemon that has had no PostInit. */
  target: string;
  /** A folder that does not exist yet and whose parent can be written. */
  newFolder: string;
  /** The file that stands for /etc/machine-id. */
  machineIdPath: string;
  /** Folder that stands for /run/wrenn. */
  runDirectory: string;
  close(): Promise<void>;
}

export function describeGuestDaemon(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<GuestDaemonFixture>,
): void {
  describe(`guest daemon ${name}`, () => {
    const never = new AbortController().signal;
    let fixture: GuestDaemonFixture;
    let guest: GuestClient;

    before(async function () {
      fixture = await createFixture(this);
      guest = client(TOKEN);
    });

    after(async () => {
      guest?.close();
      await fixture?.close();
    });

    function client(token: string): GuestClient {
      return new GuestClient({ target: fixture.target, token, log: silentLog });
    }

    function exec(cmd: string, args: string[] = [], fields = {}) {
      return guest.exec(guestCommand(cmd, args, fields), never);
    }

    it('answers health checks, and nothing else before PostInit', async () => {
      const { version } = await guest.waitUntilReady(READY_TIMEOUT_MS, never);

      expect(version).to.match(/^[\x21-\x7e]{1,64}$/);
      expect(await failureOf(exec('true'))).to.include({ reason: 'GUEST_UNREACHABLE' });
    });

    it('becomes a sandbox by PostInit', async () => {
      const identity = { sandboxId: 'sandboxoftest', templateId: 'minimal' };

      await guest.postInit({ ...identity, env: { LEVEL: 'sandbox', SHARED: 'yes' } }, never);

      expect((await exec('true')).exitCode).to.equal(0);
    });

    it('admits nobody who has another token', async () => {
      const stranger = client('token-of-somebody-else');
      const identity = { sandboxId: 'sandboxoftest', templateId: 'minimal', env: {} };
      const file = { path: `${fixture.newFolder}-strange`, content: Buffer.from('x') };

      for (const call of [
        stranger.exec(guestCommand('true'), never),
        stranger.postInit(identity, never),
        stranger.postRestore(restoreOf({ oldToken: 'token-of-somebody-else' }), never),
        stranger.writeFile({ ...file, user: '', mode: 0 }, never),
        stranger.readFile({ path: '/etc/hostname', sizeBytesMax: 1_000 }, never),
      ]) {
        expect(await failureOf(call)).to.include({ reason: 'GUEST_UNREACHABLE' });
      }
      stranger.close();
    });

    it('prints', async () => {
      const result = await exec('echo', ['hello', 'world']);

      expect(result.stdout.toString()).to.equal('hello world\n');
      expect(result).to.include({ exitCode: 0, signal: '', stdoutTruncated: false });
      expect(result.durationMs).to.be.at.least(0);
    });

    it('reads its input', async () => {
      const stdin = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));

      const echoed = await exec('cat', [], { stdin });
      const hashed = await exec('sha256sum', [], { stdin });

      expect(echoed.stdout.equals(stdin)).to.equal(true);
      const hash = createHash('sha256').update(stdin).digest('hex');
      expect(hashed.stdout.toString()).to.equal(`${hash}  -\n`);
    });

    it('gives exit codes and keeps the outputs apart', async () => {
      const result = await exec('sh', ['-c', 'echo out; echo err >&2; exit 3']);

      expect(result.stdout.toString()).to.equal('out\n');
      expect(result.stderr.toString()).to.equal('err\n');
      expect(result.exitCode).to.equal(3);
      expect((await exec('false')).exitCode).to.equal(1);
      expect((await exec('sh', ['-c', 'no-such-program'])).exitCode).to.equal(127);
    });

    it("sets the sandbox's variables and the call's over them", async () => {
      const { stdout } = await exec('env', [], { env: { LEVEL: 'call' } });

      const lines = stdout.toString().trim().split('\n');
      expect(lines).to.include.members(['LEVEL=call', 'SHARED=yes', 'USER=root', 'HOME=/root']);
    });

    it('runs as another user', async () => {
      const { stdout } = await exec('whoami', [], { user: 'nobody' });

      expect(stdout.toString()).to.equal('nobody\n');
    });

    it('cuts endless output and ends it when the time is over', async () => {
      const error = await failureOf(exec('yes', [], { timeoutSec: 1 }));

      expect(error).to.include({ code: Code.DEADLINE_EXCEEDED, reason: 'COMMAND_TIMEOUT' });
    });

    it('ends a program that waits when the time is over', async () => {
      const error = await failureOf(exec('sleep', ['300'], { timeoutSec: 1 }));

      expect(error).to.include({ code: Code.DEADLINE_EXCEEDED, reason: 'COMMAND_TIMEOUT' });
    });

    it('ends a program whose caller goes away', async () => {
      const cancel = new AbortController();
      const reason = new Error('gone');
      const running = failureOf(guest.exec(guestCommand('yes'), cancel.signal));

      cancel.abort(reason);

      expect(await running).to.equal(reason);
      expect((await exec('true')).exitCode).to.equal(0);
    });

    it('writes files and reads them back', async () => {
      const path = `${fixture.newFolder}/deep/file`;
      const content = Buffer.alloc(3 * 1024 * 1024, 9);

      await guest.writeFile({ path, content, user: '', mode: 0 }, never);
      const read = await guest.readFile({ path, sizeBytesMax: content.length }, never);
      const { stdout } = await exec('cat', [path]);

      expect(read.content.equals(content)).to.equal(true);
      expect(stdout.equals(content.subarray(0, CAPTURED_BYTES_MAX))).to.equal(true);
    });

    const failures: [string, () => Promise<unknown>, Code, Reason][] = [
      ['a program', () => exec('no-such-program'), Code.NOT_FOUND, 'COMMAND_NOT_FOUND'],
      [
        'the user of a program',
        () => exec('true', [], { user: 'no-such-user' }),
        Code.FAILED_PRECONDITION,
        'COMMAND_NOT_STARTED',
      ],
      [
        'a file',
        () => guest.readFile({ path: '/no/such', sizeBytesMax: 1 }, never),
        Code.NOT_FOUND,
        'FILE_NOT_FOUND',
      ],
      [
        'the owner of a file',
        () => write(`${fixture.newFolder}-owned`, 'no-such-user'),
        Code.FAILED_PRECONDITION,
        'FILE_NOT_USABLE',
      ],
    ];
    for (const [what, call, code, reason] of failures) {
      it(`says when ${what} is unknown`, async () => {
        expect(await failureOf(call())).to.include({ code, reason });
      });
    }

    it('says when a path is not what the call needs', async () => {
      const path = `${fixture.newFolder}/kinds/file`;
      await write(path);
      const unusable = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' };

      expect(await failureOf(write(`${fixture.newFolder}/kinds`))).to.include(unusable);
      expect(await failureOf(write(`${path}/below`))).to.include(unusable);
      expect(await failureOf(read(`${fixture.newFolder}/kinds`, 100))).to.include(unusable);
      expect(await failureOf(read(path, 1))).to.include({ reason: 'FILE_TOO_LARGE' });
    });

    it('becomes a sandbox again by PostRestore, under a new token', async () => {
      const before = await read(fixture.machineIdPath, 100);
      const restored = client(NEW_TOKEN);

      const steps = await restored.postRestore(restoreOf({ keepEnv: true }), never);

      expect(steps.map(({ name }) => name)).to.deep.equal([
        'token',
        'wall_clock',
        'entropy',
        'template_id',
        'sandbox_id',
      ]);
      expect(await failureOf(exec('true'))).to.include({ reason: 'GUEST_UNREACHABLE' });
      guest.close();
      guest = restored;
      expect((await exec('env')).stdout.toString()).to.include('LEVEL=sandbox\n');
      expect(await read(fixture.machineIdPath, 100)).to.deep.equal(before);
      const templateId = await read(`${fixture.runDirectory}/.WRENN_TEMPLATE_ID`, 100);
      expect(templateId.content.toString()).to.equal('template-of-snapshot');
    });

    it('becomes another sandbox as a clone', async () => {
      const clone = restoreOf({ oldToken: NEW_TOKEN, clone: true, machineId: MACHINE_ID });

      const steps = await guest.postRestore(clone, never);

      expect(steps.map(({ name }) => name)).to.deep.equal([
        'token',
        'wall_clock',
        'entropy',
        'machine_id',
        'hostname',
        'environment',
        'template_id',
        'sandbox_id',
      ]);
      const machineId = await read(fixture.machineIdPath, 100);
      expect(machineId.content.toString()).to.equal(`${MACHINE_ID}\n`);
      const variables = (await exec('env')).stdout.toString();
      expect(variables).to.include('LEVEL=restored\n').and.not.include('SHARED');
      const sandboxId = await read(`${fixture.runDirectory}/.WRENN_SANDBOX`, 100);
      expect(sandboxId.content.toString()).to.equal('sandboxrestored');
    });

    function restoreOf(fields: Partial<GuestRestore>): GuestRestore {
      return {
        identity: {
          sandboxId: 'sandboxrestored',
          templateId: 'template-of-snapshot',
          env: { LEVEL: 'restored' },
        },
        oldToken: TOKEN,
        keepEnv: false,
        clone: false,
        entropy: Buffer.alloc(64, 3),
        machineId: '',
        ...fields,
      };
    }

    function write(path: string, user = '') {
      return guest.writeFile({ path, content: Buffer.from('content'), user, mode: 0 }, never);
    }

    function read(path: string, sizeBytesMax: number) {
      return guest.readFile({ path, sizeBytesMax }, never);
    }
  });
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw new WrennError(Code.INTERNAL, 'INTERNAL', 'thrown was no error', { cause: error });
  }
  throw new Error('the call succeeded');
}
