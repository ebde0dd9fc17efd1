/** The agent's client against the real guest daemon. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { CAPTURED_BYTES_MAX } from '../../agent/guest/command-result.js';
import { GuestClient } from '../../agent/guest/guest-client.js';
import { Code, type Reason } from '../../lib/errors/index.js';
import { type Fields, type Log, silentLog } from '../../lib/log/log.js';
import { type EnvdProcess, startEnvd, TOKEN } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { guestCommand } from '../support/guest-command.js';
import { requireNeed } from '../support/requirements.js';

const MIB = 1024 * 1024;
const READY_TIMEOUT_MS = 20_000;
/** More connections than the daemon lets wait to be accepted. */
const QUEUE_LENGTH = 700;

describe('GuestClient', () => {
  const never = new AbortController().signal;
  let envd: EnvdProcess;
  let guest: GuestClient;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd({ initialize: false });
    guest = new GuestClient({ target: envd.target, token: TOKEN, log: silentLog });
    await guest.waitUntilReady(READY_TIMEOUT_MS, never);
    const identity = { sandboxId: 'sandboxoftest', templateId: 'minimal', env: { A: 'b' } };
    await guest.postInit(identity, never);
  });

  after(async () => {
    guest?.close();
    await envd?.stop();
  });

  it('runs a program to its end', async () => {
    const script = 'cat; echo $A >&2; exit 7';

    const result = await guest.exec(
      guestCommand('sh', ['-c', script], { stdin: Buffer.from('in') }),
      never,
    );

    expect(result.stdout.toString()).to.equal('in');
    expect(result.stderr.toString()).to.equal('b\n');
    expect(result).to.include({
      exitCode: 7,
      signal: '',
      stdoutTruncated: false,
      stderrTruncated: false,
    });
  });

  it('keeps the first bytes of a long output and drains the rest', async () => {
    const result = await guest.exec(
      guestCommand('head', ['-c', String(20 * MIB), '/dev/zero']),
      never,
    );

    expect(result.stdout.length).to.equal(CAPTURED_BYTES_MAX);
    expect(result).to.include({ stdoutTruncated: true, stderrTruncated: false, exitCode: 0 });
  });

  it('says that a program took too long', async () => {
    const error = await failureOf(
      guest.exec(guestCommand('sleep', ['300'], { timeoutSec: 1 }), never),
    );

    expect(error).to.include({ code: Code.DEADLINE_EXCEEDED, reason: 'COMMAND_TIMEOUT' });
  });

  it('writes and reads files', async () => {
    const path = join(envd.directory, 'new', 'file');
    const content = Buffer.alloc(3 * MIB, 7);

    const written = await guest.writeFile({ path, content, user: '', mode: 0o600 }, never);
    const read = await guest.readFile({ path, sizeBytesMax: 3 * MIB }, never);

    expect(written).to.deep.equal({ sizeBytes: 3 * MIB });
    expect(read.content.equals(content)).to.equal(true);
  });

  const failures: [string, () => Promise<unknown>, Code, Reason][] = [
    [
      'a program that is missing',
      () => guest.exec(guestCommand('no-such-program'), never),
      Code.NOT_FOUND,
      'COMMAND_NOT_FOUND',
    ],
    [
      'a working directory that is missing',
      () => guest.exec(guestCommand('true', [], { cwd: '/no/such' }), never),
      Code.FAILED_PRECONDITION,
      'COMMAND_NOT_STARTED',
    ],
    [
      'a file that is missing',
      () => guest.readFile({ path: '/no/such', sizeBytesMax: 1 }, never),
      Code.NOT_FOUND,
      'FILE_NOT_FOUND',
    ],
    [
      'a file that is too large',
      () => guest.readFile({ path: '/etc/passwd', sizeBytesMax: 1 }, never),
      Code.FAILED_PRECONDITION,
      'FILE_TOO_LARGE',
    ],
    [
      'a file that is a folder',
      () => guest.readFile({ path: '/etc', sizeBytesMax: MIB }, never),
      Code.FAILED_PRECONDITION,
      'FILE_NOT_USABLE',
    ],
    ['a wrong token', () => withWrongToken(), Code.UNAVAILABLE, 'GUEST_UNREACHABLE'],
  ];
  for (const [what, call, code, reason] of failures) {
    it(`tells ${what}`, async () => {
      expect(await failureOf(call())).to.include({ code, reason });
    });
  }

  it("ends with the caller's own reason when the caller goes away", async () => {
    const cancel = new AbortController();
    const reason = new Error('gone');
    const running = failureOf(guest.exec(guestCommand('sleep', ['300']), cancel.signal));

    cancel.abort(reason);

    expect(await running).to.equal(reason);
  });

  it('goes on after the daemon was started anew', async () => {
    await using other = await startEnvd();
    const client = new GuestClient({ target: other.target, token: TOKEN, log: silentLog });
    await client.exec(guestCommand('true'), never);

    await other.restart();

    await eventually(async () => {
      expect((await client.exec(guestCommand('true'), never)).exitCode).to.equal(0);
    });
    client.close();
  });

  it('takes no notice of a proxy in the environment of the agent', async () => {
    const before = { ...process.env };
    Object.assign(process.env, { http_proxy: 'http://127.0.0.1:1', no_proxy: 'elsewhere' });
    delete process.env.no_grpc_proxy;
    try {
      const client = new GuestClient({ target: envd.target, token: TOKEN, log: silentLog });
      expect((await client.exec(guestCommand('true'), never)).exitCode).to.equal(0);
      client.close();
    } finally {
      process.env = before;
    }
  });

  it('waits for a daemon that is not there yet', async () => {
    await using other = await startEnvd();
    await other.kill();
    const client = new GuestClient({ target: other.target, token: TOKEN, log: silentLog });

    const ready = client.waitUntilReady(READY_TIMEOUT_MS, never);
    await other.restart();

    await ready;
    client.close();
  });

  it('opens a new connection when the first packet of one is lost', async () => {
    await using other = await startEnvd();
    const tries: Fields[] = [];
    const log = { ...silentLog, debug: (_: string, fields: Fields = {}) => tries.push(fields) };
    const client = new GuestClient({ target: other.target, token: TOKEN, log: log as Log });
    // A stopped daemon accepts nothing; once its queue is full the kernel drops first packets.
    process.kill(other.pid, 'SIGSTOP');
    const queue = await fillQueue(other.target);

    const ready = client.waitUntilReady(READY_TIMEOUT_MS, never);
    await eventually(() => expect(tries.length).to.be.greaterThan(2));
    for (const socket of queue) socket.destroy();
    process.kill(other.pid, 'SIGCONT');

    await ready;
    client.close();
  });

  it('gives up when the time is over, or the caller goes away', async () => {
    const client = new GuestClient({ target: '127.0.0.1:1', token: TOKEN, log: silentLog });
    const cancel = new AbortController();
    const reason = new Error('gone');

    const late = await failureOf(client.waitUntilReady(200, never));
    const waiting = failureOf(client.waitUntilReady(READY_TIMEOUT_MS, cancel.signal));
    cancel.abort(reason);

    expect(late).to.include({ code: Code.UNAVAILABLE, reason: 'GUEST_UNREACHABLE' });
    expect(await waiting).to.equal(reason);
  });

  it('refuses calls after it was closed', async () => {
    const client = new GuestClient({ target: envd.target, token: TOKEN, log: silentLog });
    client.close();
    client.close();

    const error = await failureOf(client.exec(guestCommand('true'), never));

    expect(error).to.include({ reason: 'GUEST_UNREACHABLE' });
  });

  it('ends the calls under way when it is closed, though the guest answers none', async () => {
    const client = new GuestClient({ target: envd.target, token: TOKEN, log: silentLog });
    const call = failureOf(client.exec(guestCommand('sleep', ['600']), never));
    await client.exec(guestCommand('true'), never);
    client.close();

    expect(await call).to.include({ reason: 'GUEST_UNREACHABLE' });
  });

  async function withWrongToken(): Promise<void> {
    const client = new GuestClient({
      target: envd.target,
      token: 'a-token-not-in-force',
      log: silentLog,
    });
    try {
      await client.exec(guestCommand('true'), never);
    } finally {
      client.close();
    }
  }
});

async function fillQueue(target: string): Promise<Socket[]> {
  const [host = '', port = ''] = target.split(':');
  const sockets = Array.from({ length: QUEUE_LENGTH }, () => {
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    return socket;
  });
  // The first ones are let in; the queue is full when the last one is not.
  await new Promise((resolve) => sockets[0]?.once('connect', resolve));
  return sockets;
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the call succeeded');
}
