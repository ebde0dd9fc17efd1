/** What the real guest daemon does after its machine was restored from a snapshot. */
import { existsSync } from 'node:fs';
import { lstat, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  GuestServiceService,
  type PostInitRequest,
  type PostRestoreRequest,
} from '../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService, StartRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import { createClient } from '../../lib/rpc/client.js';
import {
  collect,
  type EnvdProcess,
  initializeEnvd,
  isAlive,
  REAL_HELPER,
  startEnvd,
  TOKEN,
} from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';

const NEW_TOKEN = 'new-token-of-a-test-0123456789';
const OTHER_TOKEN = 'other-token-of-a-test-0123456789';
const MACHINE_ID = 'fedcba9876543210fedcba9876543210';
const FORMER_MACHINE_ID = '00000000000000000000000000000001\n';
const WALL_CLOCK_NS = 1_700_000_000_123_456_789n;

describe('envd after a restore', () => {
  let envd: EnvdProcess;

  before(function () {
    requireNeed(this, 'root');
  });

  beforeEach(async () => {
    envd = await startEnvd({ initialize: false });
    await writeFile(file('machine-id'), FORMER_MACHINE_ID);
  });

  afterEach(async () => {
    await envd?.stop();
  });

  function file(...names: string[]): string {
    return join(envd.directory, ...names);
  }

  function withToken(token?: string) {
    return {
      timeoutMs: envd.options.timeoutMs,
      metadata: token === undefined ? {} : { [ENVD_TOKEN_KEY]: token },
    };
  }

  function restore(
    fields: Partial<Omit<PostRestoreRequest, 'identity'>> = {},
    identity: Partial<PostInitRequest> = {},
    token: string | undefined = TOKEN,
    daemon = envd,
  ) {
    const request: PostRestoreRequest = {
      identity: {
        token: NEW_TOKEN,
        sandboxId: 'sandboxrestored',
        templateId: 'template-of-test',
        env: { GREETING: 'new' },
        wallClockNs: WALL_CLOCK_NS,
        ...identity,
      },
      keepEnv: false,
      entropy: Buffer.alloc(64, 7),
      clone: false,
      machineId: '',
      ...fields,
    };
    return daemon.guest.postRestore(request, withToken(token));
  }

  function greeting(token: string, daemon = envd) {
    const events = daemon.processes.start(
      StartRequest.fromPartial({ cmd: 'sh', args: ['-c', 'echo $GREETING'] }),
      withToken(token),
    );
    return collect(events);
  }

  it('puts the new token in force, and the old one out of it', async () => {
    await initializeEnvd(envd);

    await restore();

    expect(await failureOf(greeting(TOKEN))).to.include({
      code: Code.UNAUTHENTICATED,
      reason: 'CREDENTIAL_INVALID',
    });
    expect((await greeting(NEW_TOKEN)).exitCode).to.equal(0);
  });

  it('refuses whoever does not have the old token, and changes nothing', async () => {
    await initializeEnvd(envd, { GREETING: 'old' });
    const refused = { code: Code.UNAUTHENTICATED };

    expect(await failureOf(restore({}, {}, OTHER_TOKEN))).to.include(refused);
    expect(await failureOf(restore({}, {}, NEW_TOKEN))).to.include(refused);
    expect(await failureOf(restore({}, {}, ''))).to.include(refused);

    expect((await greeting(TOKEN)).stdout).to.equal('old\n');
    expect(existsSync(file('helper.calls'))).to.equal(false);
  });

  it('needs no token in a guest that had none', async () => {
    const { steps } = await restore({ clone: true, machineId: MACHINE_ID }, {}, undefined);

    expect(steps.filter(({ error }) => error !== '')).to.deep.equal([]);
    expect((await greeting(NEW_TOKEN)).stdout).to.equal('new\n');
  });

  it('lets only one of two win', async () => {
    await initializeEnvd(envd);

    const results = await Promise.allSettled([
      restore({}, { token: NEW_TOKEN }),
      restore({}, { token: OTHER_TOKEN }),
    ]);

    expect(results.map(({ status }) => status).sort()).to.deep.equal(['fulfilled', 'rejected']);
  });

  it('does the steps of a resume, and leaves machine id and hostname', async () => {
    await initializeEnvd(envd);

    const { steps } = await restore();

    expect(steps.map(({ name, error }) => [name, error])).to.deep.equal([
      ['token', ''],
      ['wall_clock', ''],
      ['entropy', ''],
      ['environment', ''],
      ['template_id', ''],
      ['sandbox_id', ''],
    ]);
    for (const { durationMs } of steps) expect(durationMs).to.be.at.least(0);
    expect(await readFile(file('machine-id'), 'utf8')).to.equal(FORMER_MACHINE_ID);
    expect(await readFile(file('hostname'), 'utf8')).to.equal('sandboxoftest');
    expect(await readFile(file('run', '.WRENN_TEMPLATE_ID'), 'utf8')).to.equal('template-of-test');
    expect(await readFile(file('run', '.WRENN_SANDBOX'), 'utf8')).to.equal('sandboxrestored');
  });

  it('gives a clone a machine id and a hostname of its own', async () => {
    await initializeEnvd(envd);
    await symlink(file('machine-id'), file('dbus-machine-id'));

    const { steps } = await restore({ clone: true, machineId: MACHINE_ID });

    expect(steps.map(({ name, error }) => [name, error])).to.deep.equal([
      ['token', ''],
      ['wall_clock', ''],
      ['entropy', ''],
      ['machine_id', ''],
      ['hostname', ''],
      ['environment', ''],
      ['template_id', ''],
      ['sandbox_id', ''],
    ]);
    expect(await readFile(file('machine-id'), 'utf8')).to.equal(`${MACHINE_ID}\n`);
    expect((await lstat(file('machine-id'))).mode & 0o777).to.equal(0o444);
    expect(await readFile(file('hostname'), 'utf8')).to.equal('sandboxrestored');
    expect((await lstat(file('dbus-machine-id'))).isSymbolicLink()).to.equal(true);
  });

  it("renews D-Bus's own copy of the machine id", async () => {
    await writeFile(file('dbus-machine-id'), FORMER_MACHINE_ID);

    await restore({ clone: true, machineId: MACHINE_ID }, {}, undefined);

    expect(await readFile(file('dbus-machine-id'), 'utf8')).to.equal(`${MACHINE_ID}\n`);
  });

  it('gives clock and entropy to the helper in one request', async () => {
    await restore({ entropy: Buffer.alloc(48, 0xab) }, {}, undefined);

    const calls = await readFile(file('helper.calls'), 'utf8');
    expect(calls).to.match(new RegExp(`^restore ${WALL_CLOCK_NS} \\d+ (ab){48}\n$`));
  });

  it('keeps the variables when it is told to', async () => {
    await initializeEnvd(envd, { GREETING: 'old' });

    await restore({ keepEnv: true });

    expect((await greeting(NEW_TOKEN)).stdout).to.equal('old\n');
  });

  it('can be asked again', async () => {
    await initializeEnvd(envd);
    await restore();

    const { steps } = await restore({}, { token: OTHER_TOKEN }, NEW_TOKEN);

    expect(steps.filter(({ error }) => error !== '')).to.deep.equal([]);
    expect((await greeting(OTHER_TOKEN)).exitCode).to.equal(0);
  });

  for (const [what, answer, failed] of [
    ['the clock', 'echo wall_clock 1; echo add_entropy 0; echo reseed 0', ['wall_clock']],
    ['the entropy', 'echo wall_clock 0; echo add_entropy 1; echo reseed 0', ['entropy']],
    ['the reseed', 'echo wall_clock 0; echo add_entropy 0; echo reseed 61', ['entropy']],
    ['a helper that refuses', 'echo refused 22', ['wall_clock', 'entropy']],
    ['a helper that fails', 'echo wall_clock 0; exit 1', ['wall_clock', 'entropy']],
  ] as const) {
    it(`reports ${what}, and does the other steps`, async () => {
      const helperPath = file('failing-helper');
      const commands = `[ $# -gt 0 ] && exec '${REAL_HELPER}' "$@"`;
      const script = `#!/bin/sh\n${commands}\nwhile read -r line; do\n${answer}\necho\ndone\n`;
      await writeFile(helperPath, script, { mode: 0o755 });
      await using failing = await startEnvd({ initialize: false, helperPath });

      const { steps } = await restore({}, {}, undefined, failing);

      expect(steps.filter(({ error }) => error !== '').map(({ name }) => name)).to.deep.equal(
        failed,
      );
      expect((await greeting(NEW_TOKEN, failing)).stdout).to.equal('new\n');
    });
  }

  for (const [what, call] of [
    ['no identity', () => restore({ identity: undefined } as never)],
    ['a hostname that leaves its file', () => restore({}, { sandboxId: '../x' })],
    ['a hostname of two lines', () => restore({}, { sandboxId: 'a\nb' })],
    ['a short token', () => restore({}, { token: 'short' })],
    ['no entropy', () => restore({ entropy: Buffer.alloc(0) })],
    ['little entropy', () => restore({ entropy: Buffer.alloc(31) })],
    ['more entropy than there is room for', () => restore({ entropy: Buffer.alloc(513) })],
    ['a clone without machine id', () => restore({ clone: true })],
    ['a machine id of two lines', () => restore({ clone: true, machineId: `${MACHINE_ID}\n` })],
    ['a machine id in capitals', () => restore({ clone: true, machineId: 'F'.repeat(32) })],
  ] as const) {
    it(`refuses ${what}, and changes nothing`, async () => {
      await initializeEnvd(envd, { GREETING: 'old' });

      expect(await failureOf(call())).to.include({
        code: Code.INVALID_ARGUMENT,
        reason: 'INVALID_REQUEST',
      });
      expect((await greeting(TOKEN)).stdout).to.equal('old\n');
      expect(await readFile(file('machine-id'), 'utf8')).to.equal(FORMER_MACHINE_ID);
    });
  }

  it('ends the calls of before the pause, and their programs', async () => {
    await initializeEnvd(envd);
    await using before = connection(envd.target);
    const running = before.start('sleep', ['300']);
    const pid = await running.pid;

    await restore();

    expect(await failureOf(running.ended)).to.be.instanceOf(WrennError);
    await eventually(async () => expect(await isAlive(pid)).to.equal(false));
  });

  it('lets live what runs in the background', async () => {
    await initializeEnvd(envd);
    const script = 'nohup sleep 300 >/dev/null 2>&1 & echo $!';
    const background = await envd.run({ cmd: 'sh', args: ['-c', script] });
    await using before = connection(envd.target);
    const running = before.start('sh', ['-c', 'setsid sleep 300 >/dev/null 2>&1; wait']);
    const parent = await running.pid;
    const session = await eventually(() => childOf(parent));

    await restore();

    await eventually(async () => expect(await isAlive(parent)).to.equal(false));
    for (const pid of [Number(background.stdout), session]) {
      expect(await isAlive(pid)).to.equal(true);
      process.kill(pid, 'SIGKILL');
    }
  });

  it('answers a health check of before it on every connection', async () => {
    await using before = connection(envd.target);
    expect((await before.guest.getHealth({}, withToken())).initialized).to.equal(false);

    await restore({}, {}, undefined);

    // The client of the ended connection makes a new one.
    await eventually(async () => {
      expect((await before.guest.getHealth({}, withToken())).initialized).to.equal(true);
    });
  });
});

/** A connection of its own to the daemon, as one of before a pause. */
function connection(target: string) {
  const options = { 'grpc.use_local_subchannel_pool': 1 };
  const insecure = credentials.createInsecure();
  const processes = createClient(ProcessServiceService, target, insecure, options);
  const guest = createClient(GuestServiceService, target, insecure, options);
  return {
    guest,
    /** Starts a program; `ended` settles with the call. */
    start(cmd: string, args: string[]) {
      const events = processes.start(StartRequest.fromPartial({ cmd, args }), {
        timeoutMs: 60_000,
        metadata: { [ENVD_TOKEN_KEY]: TOKEN },
      });
      let onStarted: (pid: number) => void = () => undefined;
      const pid = new Promise<number>((resolve) => {
        onStarted = resolve;
      });
      const ended = (async () => {
        for await (const { event } of events) {
          if (event?.$case === 'started') onStarted(event.value.pid);
        }
      })();
      ended.catch(() => undefined);
      return { pid, ended };
    },
    [Symbol.asyncDispose]: async () => {
      processes.close();
      guest.close();
    },
  };
}

async function childOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const child = Number(children.trim().split(' ')[0]);
  const command = child > 0 ? await readFile(`/proc/${child}/comm`, 'utf8') : '';
  if (command !== 'sleep\n') throw new Error('it has not started its program yet');
  return child;
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('the call succeeded');
}
