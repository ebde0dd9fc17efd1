/** Programs on terminals of the real guest daemon, by the real wrenn-guest. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { expect } from 'chai';
import type { LaunchRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import { type EnvdProcess, isAlive, startEnvd } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { buildGuestHelper } from '../support/guest-helper.js';
import { LaunchedPrograms } from '../support/launched-programs.js';
import { reasonOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const INTERRUPT = '\x03';
const PASSWD = [
  'root:x:0:0:root:/root:/bin/sh',
  'grouped:x:4711:4711::/tmp:/bin/sh',
  'nobody:x:65534:65534::/nonexistent:/bin/sh',
];
const GROUP = ['root:x:0:', 'grouped:x:4711:', 'one:x:4712:grouped', 'two:x:4713:root,grouped'];

describe('envd running programs on terminals', function () {
  this.timeout(60_000);

  let helpers: TemporaryDirectory;
  let envd: EnvdProcess;
  let programs: LaunchedPrograms;
  let ids = 0;

  before(async function () {
    requireNeed(this, 'root');
    helpers = await temporaryDirectory();
    const accounts = { passwd: `${PASSWD.join('\n')}\n`, group: `${GROUP.join('\n')}\n` };
    envd = await startEnvd({ helperPath: buildGuestHelper(helpers.path), accounts });
    programs = new LaunchedPrograms(envd);
  });

  after(async () => {
    await envd?.stop();
    await helpers?.remove();
  });

  function onTerminal(cmd: string, args: string[] = [], fields: Partial<LaunchRequest> = {}) {
    return { processId: `t${++ids}`, cmd, args, pty: { cols: 81, rows: 25 }, ...fields };
  }

  function shell(script: string, fields: Partial<LaunchRequest> = {}) {
    return onTerminal('sh', ['-c', script], fields);
  }

  it('gives a program a terminal of the size, kind and owner that it asks for', async () => {
    const script = 'tty; stty size; echo $TERM; stat -c %u:%a $(tty); echo err >&2; exit 4';

    const result = await programs.launch(shell(script, { user: 'nobody', cwd: '/' })).rest();

    expect(result.terminal).to.match(
      /^\/dev\/pts\/\d+\r\n25 81\r\nxterm-256color\r\n65534:620\r\nerr\r\n$/,
    );
    expect(result.exited).to.include({ exitCode: 4, signal: '' });
    const named = shell('echo $TERM', { env: { TERM: 'vt100' } });
    expect((await programs.launch(named).rest()).terminal).to.equal('vt100\r\n');
  });

  it('makes the program leader of its session and group, with nothing else open', async () => {
    const request = onTerminal('cut', ['-d ', '-f1,5,6', '/proc/self/stat']);
    const { pid, terminal } = await programs.launch(request).rest();

    expect(terminal).to.equal(`${pid} ${pid} ${pid}\r\n`);
    // The listed folder is what ls itself has opened.
    const listed = await programs.launch(onTerminal('ls', ['/proc/self/fd'])).rest();
    expect(listed.terminal.split(/\s+/).filter(Boolean)).to.deep.equal(['0', '1', '2', '3']);
  });

  it('runs as a user with all of its groups', async () => {
    const result = await programs.launch(shell('id -u; id -G', { user: 'grouped' })).rest();

    expect(result.terminal).to.equal('4711\r\n4711 4712 4713\r\n');
    expect((await programs.launch(shell('id -G')).rest()).terminal).to.equal('0 4713\r\n');
  });

  it('interrupts the foreground job when Ctrl-C is typed, and controls jobs', async () => {
    const request = onTerminal('sh', ['-i'], { env: { PS1: '> ' } });
    const stream = programs.launch(request);
    const type = (text: string) => programs.input(request.processId, text);
    await stream.untilText('> ');

    await type('sleep 300; echo after=$?\n');
    await eventually(async () => expect(await foregroundOf(request.processId)).to.equal('sleep'));
    await type(INTERRUPT);
    await stream.untilText('^C\r\n> ');
    await type('sleep 301 & echo job=$!\n');
    // A shell that takes no SIGTERM itself may pass that on to what it has only just started.
    await type('jobs; kill -9 %1; wait; echo all-done-$((1+1))\n');
    const { terminal } = await stream.untilText('all-done-2');

    expect(terminal).to.match(/Running\s+sleep 301/);
    await type('exit 7\n');
    expect((await stream.rest()).exited).to.include({ exitCode: 7 });
  });

  it('tells the program of a new size', async () => {
    const script = 'trap "stty size" WINCH; echo ready; while :; do sleep 0.05; done';
    const request = shell(script);
    const stream = programs.launch(request);
    await stream.untilText('ready');

    await programs.resize(request.processId, 132, 43);
    await stream.untilText('43 132');
    const sizes = Array.from({ length: 10 }, (_, index) => 60 + index);
    await Promise.all(sizes.map((rows) => programs.resize(request.processId, 100, rows)));
    await stream.untilText('69 100');

    await programs.signal(request.processId, constants.signals.SIGKILL);
    expect((await stream.rest()).exited).to.include({ signal: 'SIGKILL' });
    expect(await reasonOf(programs.resize(request.processId, 80, 24))).to.equal('PROCESS_STATE');
    for (const [cols, rows] of [
      [0, 24],
      [80, 4097],
    ] as const) {
      const reason = await reasonOf(programs.resize(request.processId, cols, rows));
      expect(reason).to.equal('INVALID_REQUEST');
    }
  });

  it('loses nothing of what a program writes last', async () => {
    for (let round = 0; round < 30; round += 1) {
      const sizeBytes = 1000 + round * 800;
      const request = onTerminal('head', ['-c', String(sizeBytes), '/dev/zero']);

      const { bytes, exited } = await programs.launch(request).rest();

      expect(bytes.length).to.equal(sizeBytes);
      expect(exited).to.include({ exitCode: 0 });
    }
  });

  it('carries output that nobody takes at once, and any input', async () => {
    const request = shell('stty raw -echo; echo ready; head -c 100000 | md5sum; seq 200000');
    const stream = programs.launch(request);
    await stream.untilText('ready');
    for (let part = 0; part < 10; part += 1) {
      await programs.input(request.processId, Buffer.alloc(10_000, part));
    }

    const { terminal } = await stream.rest();

    const reference = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('');
    expect(terminal.endsWith(reference)).to.equal(true);
    const content = Buffer.concat(
      Array.from({ length: 10 }, (_, part) => Buffer.alloc(10_000, part)),
    );
    expect(terminal).to.include(createHash('md5').update(content).digest('hex'));
  });

  for (const [what, typed] of [
    ['a line', 'one\n'],
    ['half a line', 'one\ntwo'],
    ['nothing', ''],
  ] as const) {
    it(`ends the input behind ${what}`, async () => {
      const request = shell('stty -echo; echo ready; cat');
      const stream = programs.launch(request);
      await stream.untilText('ready');
      await programs.input(request.processId, typed);

      await programs.closeInput(request.processId);

      const { terminal } = await stream.rest();
      expect(terminal).to.equal(`ready\r\n${typed.replaceAll('\n', '\r\n')}`);
      expect(await reasonOf(programs.input(request.processId, 'x'))).to.equal('PROCESS_STATE');
    });
  }

  it('ends the input from the start', async () => {
    for (let round = 0; round < 30; round += 1) {
      const request = onTerminal('cat', [], { closeStdin: true });

      expect((await programs.launch(request).rest()).exited).to.include({ exitCode: 0 });
    }
  });

  it('leaves a program its terminal that closes all it has and opens it again', async () => {
    const script = 'exec <&- >&- 2>&-; sleep 0.2; echo back > /dev/tty; sleep 0.1; exit 5';

    const { terminal, exited } = await programs.launch(shell(script)).rest();

    expect(terminal).to.equal('back\r\n');
    expect(exited).to.include({ exitCode: 5 });
  });

  it('hangs up what a program leaves in the background, and goes on without it', async () => {
    const request = onTerminal('bash', ['-c', 'trap "" HUP; sleep 300 & echo $!']);

    const { terminal, exited } = await programs.launch(request).rest();

    const pid = Number(terminal);
    expect(exited).to.include({ exitCode: 0 });
    expect(await isAlive(pid)).to.equal(true);
    process.kill(pid, 'SIGKILL');
  });

  it('does not wait for a program that reads nothing', async () => {
    const request = shell('stty raw; echo ready; sleep 300');
    const stream = programs.launch(request);
    await stream.untilText('ready');
    await programs.input(request.processId, Buffer.alloc(500_000, 'x'));

    expect((await programs.launch(shell('echo other')).rest()).terminal).to.equal('other\r\n');
    await programs.signal(request.processId, constants.signals.SIGKILL);
    expect((await stream.rest()).exited).to.include({ signal: 'SIGKILL' });
  });

  it('says what cannot be started', async () => {
    const launch = (cmd: string, fields = {}) =>
      reasonOf(programs.launch(onTerminal(cmd, [], fields)).rest());

    expect(await launch('no-such')).to.equal('COMMAND_NOT_FOUND');
    expect(await launch('/etc/passwd')).to.equal('COMMAND_NOT_FOUND');
    expect(await launch('true', { cwd: '/no/such' })).to.equal('COMMAND_NOT_STARTED');
    expect(await launch('true', { args: ['x'.repeat(1024 * 1024)] })).to.equal(
      'COMMAND_NOT_STARTED',
    );
    expect(await launch('true', { args: ['a\0b'] })).to.equal('INVALID_REQUEST');
    expect(await launch('true', { pty: { cols: 0, rows: 1 } })).to.equal('INVALID_REQUEST');
  });

  it('leaves no descriptor behind', async () => {
    const before = (await readdir(`/proc/${envd.pid}/fd`)).length;
    for (let index = 0; index < 40; index += 1) {
      await programs.launch(onTerminal('true')).rest();
      await reasonOf(programs.launch(onTerminal('true', ['a\0b'])).rest());
    }

    await eventually(async () => {
      expect((await readdir(`/proc/${envd.pid}/fd`)).length).to.be.at.most(before + 2);
    });
  });

  /** Name of the program in the foreground of a terminal. */
  async function foregroundOf(processId: string): Promise<string> {
    const { pid } = await programs.find(processId);
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    return (await readFile(`/proc/${fields[5]}/comm`, 'utf8')).trim();
  }
});
