/** The public API over real virtual machines: what works, what is refused, and what a guest reaches. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect } from 'chai';
import { WrennApiError } from '../../clients/typescript/index.js';
import { SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';

const PING_PERIOD_MS = 300;

describe('sandboxes on a real host', function () {
  this.timeout(300_000);
  let platform: TestPlatform;
  let sandboxId: string;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
    ({ sandboxId } = await platform.client.sandboxes.create({
      vcpus: 2,
      memoryMb: 384,
      env: { GREETING: 'hello' },
    }));
  });

  after(async () => {
    await platform?.[Symbol.asyncDispose]();
  });

  const sh = async (script: string, id = sandboxId, timeoutSec = 60) =>
    await platform.client.exec(id, { cmd: 'sh', args: ['-c', script], timeoutSec });

  const refusal = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof WrennApiError)) throw new Error(`not refused: ${String(error)}`);
    return error.reason;
  };

  it('have the processors, the memory, the variables and the name that were asked for', async () => {
    const { stdoutText } = await sh(
      'nproc; free -m | sed -n 2p; echo $GREETING; hostname; cat /run/wrenn/.WRENN_TEMPLATE_ID',
    );
    const [processors, memory, greeting, hostname, template] = stdoutText.split('\n');
    expect({ processors, greeting, hostname, template }).to.deep.equal({
      processors: '2',
      greeting: 'hello',
      hostname: sandboxId,
      template: 'minimal',
    });
    expect(Number(memory?.split(/\s+/)[1])).to.be.within(300, 384);
  });

  it('run Bash, Python, curl and git', async () => {
    const { stdoutText, exitCode } = await sh(
      'set -e; bash -c "echo bash"; python3 -c "print(sum(range(10)))"; curl --version >/dev/null; git --version >/dev/null; ls /etc/ssl/certs/ca-certificates.crt',
    );
    expect(exitCode).to.equal(0);
    expect(stdoutText).to.contain('bash\n45\n');
  });

  it('tell the exit code, both outputs, a signal, and the text where there is one', async () => {
    const failed = await sh('echo out; echo err >&2; exit 7');
    expect(failed).to.include({
      exitCode: 7,
      stdoutText: 'out\n',
      stderrText: 'err\n',
      signal: '',
    });
    const killed = await sh('kill -9 $$');
    expect(killed).to.include({ exitCode: 137, signal: 'SIGKILL' });
    const binary = await sh("printf '\\377\\376'");
    expect(binary.stdoutText).to.equal('');
    expect([...binary.stdout]).to.deep.equal([255, 254]);
  });

  it('read their standard input to its end, and run as the user and in the folder that are named', async () => {
    const { stdoutText } = await platform.client.exec(sandboxId, {
      cmd: 'sh',
      args: ['-c', 'cat; id -un; pwd'],
      stdin: Buffer.from('from the caller\n'),
      user: 'user',
      cwd: '/tmp',
    });
    expect(stdoutText).to.equal('from the caller\nuser\n/tmp\n');
  });

  it('keep the first part of an output without bound, and end what takes too long', async () => {
    const endless = await sh('head -c 3000000 /dev/zero');
    expect(endless.stdout.length).to.equal(1_000_000);
    expect(endless).to.include({ stdoutTruncated: true, stderrTruncated: false, exitCode: 0 });
    expect(await refusal(sh('sleep 60', sandboxId, 1))).to.equal('COMMAND_TIMEOUT');
    expect((await sh('pgrep -x sleep || echo none')).stdoutText).to.equal('none\n');
  });

  it('keep files byte by byte', async () => {
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
    await platform.client.files.write(sandboxId, '/root/new/folder/file', content);
    expect(
      (await platform.client.files.read(sandboxId, '/root/new/folder/file')).equals(content),
    ).to.equal(true);
    const { stdoutText } = await sh('stat -c "%a %U %s" /root/new/folder/file');
    expect(stdoutText).to.equal('644 root 300000\n');
  });

  it('say what is wrong with a command or a path, each by its reason', async () => {
    const { client } = platform;
    expect(await refusal(client.exec(sandboxId, { cmd: 'no-such-program' }))).to.equal(
      'COMMAND_NOT_FOUND',
    );
    expect(await refusal(client.exec(sandboxId, { cmd: '/etc/passwd' }))).to.equal(
      'COMMAND_NOT_FOUND',
    );
    expect(await refusal(client.exec(sandboxId, { cmd: 'true', cwd: '/absent' }))).to.equal(
      'COMMAND_NOT_STARTED',
    );
    expect(await refusal(client.exec(sandboxId, { cmd: 'true', user: 'nobody-here' }))).to.equal(
      'COMMAND_NOT_STARTED',
    );
    expect(await refusal(client.files.read(sandboxId, '/absent'))).to.equal('FILE_NOT_FOUND');
    expect(await refusal(client.files.read(sandboxId, '/etc'))).to.equal('FILE_NOT_USABLE');
    expect(await refusal(client.exec('unknownsandbox', { cmd: 'true' }))).to.equal(
      'SANDBOX_NOT_FOUND',
    );
  });

  it('say that their disk is full, and go on', async () => {
    await sh(
      'fallocate -l $(($(stat -f -c "%a * %S" /)))  /root/filler; cat /dev/zero > /root/filler2',
    );
    const content = Buffer.alloc(3_000_000, 1);
    expect(await refusal(platform.client.files.write(sandboxId, '/root/more', content))).to.equal(
      'GUEST_DISK_FULL',
    );
    await sh('rm /root/filler /root/filler2');
    await platform.client.files.write(sandboxId, '/root/more', content);
  });

  it('restart their guest daemon when it dies, under the same token', async () => {
    // The call itself ends with the daemon that carries it.
    const ended = await refusal(sh('kill -9 $(pgrep -f /wrenn/envd)'));
    expect(ended).to.equal('GUEST_UNREACHABLE');
    await platform.answers(sandboxId);
  });

  describe('what a hostile guest reaches', () => {
    let neighbourId: string;
    let decoys: Server[];
    let decoyPort: number;

    before(async () => {
      ({ sandboxId: neighbourId } = await platform.client.sandboxes.create());
      const decoy = createServer((socket) => socket.end('reached\n')).listen(0, '0.0.0.0');
      await once(decoy, 'listening');
      decoys = [decoy];
      const address = decoy.address();
      decoyPort = typeof address === 'object' && address ? address.port : 0;
    });

    after(async () => {
      for (const decoy of decoys ?? []) decoy.close();
      if (neighbourId) await platform.client.sandboxes.delete(neighbourId);
    });

    /** Tries to connect from inside the guest; `open` only when the far end answered the handshake. */
    const connect = async (targets: [host: string, port: number][]) => {
      const program = [
        'import concurrent.futures, socket, sys',
        'def connect(target):',
        '    host, port = target.rsplit(":", 1)',
        '    try:',
        '        socket.create_connection((host, int(port)), timeout=3).close()',
        '        return target + " open"',
        '    except OSError:',
        '        return target + " closed"',
        'with concurrent.futures.ThreadPoolExecutor(64) as pool:',
        '    print("\\n".join(pool.map(connect, sys.argv[1:])))',
      ].join('\n');
      const args = ['-c', program, ...targets.map(([host, port]) => `${host}:${port}`)];
      const { stdoutText } = await platform.client.exec(sandboxId, {
        cmd: 'python3',
        args,
        timeoutSec: 120,
      });
      return stdoutText.trim().split('\n');
    };

    it('is neither the host, its services and database, nor another guest, nor the metadata address', async () => {
      const neighbour = await platform.get(neighbourId);
      const own = await platform.get(sandboxId);
      const hostAddresses = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ family, internal }) => family === 'IPv4' && !internal)
        .map(({ address }) => address);
      const grpcPort = Number(platform.grpcAddress.split(':').at(-1));
      const httpPort = Number(new URL(platform.httpUrl).port);
      const targets: [string, number][] = [
        ...[...new Set([...hostAddresses, own.hostIp, neighbour.hostIp, '169.254.0.22'])].flatMap(
          (host): [string, number][] => [
            [host, decoyPort],
            [host, grpcPort],
            [host, httpPort],
            [host, 5432],
          ],
        ),
        [neighbour.guestIp, 49_983],
        [own.guestIp, 49_983],
        ['169.254.169.254', 80],
      ];
      const answers = await connect(targets);
      expect(answers).to.have.length(targets.length);
      expect(answers.filter((answer) => answer.endsWith('open'))).to.deep.equal([]);
      expect(await connect([['127.0.0.1', 49_983]]), 'the probe itself works').to.deep.equal([
        '127.0.0.1:49983 open',
      ]);
    });

    it('is not another guest’s daemon, nor its own without the token', async () => {
      const program =
        'import socket; s = socket.create_connection(("127.0.0.1", 49983)); s.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"); print(len(s.recv(9)) > 0)';
      const { stdoutText } = await platform.client.exec(sandboxId, {
        cmd: 'python3',
        args: ['-c', program],
      });
      expect(stdoutText).to.equal('True\n');
      const { stdoutText: arguments_ } = await sh('cat /proc/cmdline');
      expect(arguments_).not.to.match(/token/i);
      const mode = await platform.client.exec(sandboxId, {
        cmd: 'cat',
        args: ['/run/wrenn/envd-token'],
        user: 'user',
      });
      expect(mode.exitCode).not.to.equal(0);
    });
  });

  it('are deleted when nobody uses them, and not while they are pinged', async () => {
    const [idle, pinged] = await Promise.all([
      platform.client.sandboxes.create({ timeoutSec: 3 }),
      platform.client.sandboxes.create({ timeoutSec: 3 }),
    ]);
    const gone = async () =>
      (await refusal(platform.get(idle.sandboxId)).catch(() => 'present')) as string;
    while ((await gone()) === 'present') {
      await platform.client.sandboxes.ping(pinged.sandboxId);
      await new Promise((resolve) => setTimeout(resolve, PING_PERIOD_MS));
    }
    expect(await gone()).to.equal('SANDBOX_NOT_FOUND');
    expect((await platform.get(pinged.sandboxId)).state).to.equal(
      SandboxState.SANDBOX_STATE_RUNNING,
    );
    await platform.client.sandboxes.delete(pinged.sandboxId);
  });

  it('are gone from the machine after their deletion, a second deletion says so', async () => {
    const { sandboxId: id } = await platform.client.sandboxes.create();
    await platform.client.sandboxes.delete(id);
    expect(await refusal(platform.client.sandboxes.delete(id))).to.equal('SANDBOX_NOT_FOUND');
    const census = await platform.census();
    expect(
      Object.values(census)
        .flat()
        .filter((line) => line.includes(id)),
    ).to.deep.equal([]);
  });
});
