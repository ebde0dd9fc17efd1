/** Launched programs of the real guest daemon: their life, output, input and limits. */
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Code } from '../../lib/errors/index.js';
import { RING_BYTES_MAX } from '../../lib/guest/output-ring.js';
import { PROCESS_LIMITS } from '../../lib/guest/process-limits.js';
import { type EnvdProcess, isAlive, startEnvd } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { LaunchedPrograms } from '../support/launched-programs.js';
import { reasonOf, rejectionOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';

const MIB = 1024 * 1024;
const { SIGCONT, SIGKILL, SIGSTOP, SIGTERM } = constants.signals;

describe('envd launching programs', function () {
  this.timeout(60_000);

  let envd: EnvdProcess;
  let programs: LaunchedPrograms;
  let ids = 0;

  before(async function () {
    requireNeed(this, 'root');
    envd = await startEnvd();
    programs = new LaunchedPrograms(envd);
  });

  after(async () => {
    await envd?.stop();
  });

  function shell(script: string, processId = `p${++ids}`) {
    return { processId, cmd: 'sh', args: ['-c', script] };
  }

  it('tells start, outputs and end', async () => {
    const result = await programs.launch(shell('echo out; echo err >&2; exit 3')).rest();

    expect(result).to.include({ stdout: 'out\n', stderr: 'err\n', nextOffset: 8 });
    expect(result.pid).to.be.greaterThan(0);
    expect(result.exited).to.include({ exitCode: 3, signal: '', timedOut: false });
    expect(result.exited?.durationMs).to.be.greaterThan(0);
  });

  it('carries any bytes', async () => {
    const script = 'head -c 300000 /dev/urandom | tee "$0"';
    const path = join(envd.directory, 'random');
    const request = { processId: 'binary', cmd: 'sh', args: ['-c', script, path] };

    const { bytes } = await programs.launch(request).rest();

    expect(bytes.equals(await readFile(path))).to.equal(true);
  });

  it('starts one program for an id, however often it is launched', async () => {
    const request = shell('echo $$; cat');
    const streams = Array.from({ length: 5 }, () => programs.launch(request));
    const pids = await Promise.all(streams.map(async (stream) => (await stream.started()).pid));

    expect(new Set(pids).size).to.equal(1);
    await programs.closeInput(request.processId);
    for (const stream of [...streams, programs.launch(request)]) {
      expect((await stream.rest()).stdout).to.equal(`${pids[0]}\n`);
    }
  });

  it('lets a program live when its stream ends, and goes on from any offset', async () => {
    const request = shell('read line; echo "got $line"');
    await programs.start(request);
    await programs.input(request.processId, 'it\n');

    expect((await programs.attach(request.processId, 0).rest()).stdout).to.equal('got it\n');
    expect((await programs.attach(request.processId, 4).rest()).stdout).to.equal('it\n');
    expect((await programs.attach(request.processId).rest()).stdout).to.equal('got it\n');
  });

  it('names what is kept when an offset is not', async () => {
    const request = shell(`head -c ${3 * MIB} /dev/zero`);
    await programs.start(request);
    await eventually(async () => {
      expect((await programs.find(request.processId)).exited).not.to.equal(undefined);
    });
    const firstOffset = 3 * MIB - RING_BYTES_MAX;

    const { bytes } = await programs.attach(request.processId).rest();
    expect(bytes.length).to.equal(RING_BYTES_MAX);
    for (const offset of [0, firstOffset - 1, 3 * MIB + 1]) {
      const error = await rejectionOf(programs.attach(request.processId, offset).rest());
      expect(error).to.include({ code: Code.OUT_OF_RANGE, reason: 'OUTPUT_OUT_OF_RANGE' });
      expect(error.metadata).to.include({
        first_offset: String(firstOffset),
        next_offset: String(3 * MIB),
      });
    }
  });

  it('takes each piece of input once, however often it is sent', async () => {
    const request = { processId: 'once', cmd: 'cat' };
    const stream = programs.launch(request);
    await stream.started();
    for (let sequence = 1n; sequence <= 200n; sequence += 1n) {
      const text = `line ${sequence}\n`;
      const sends = [1, 2, 3].map(() => programs.send('once', 'w', sequence, text));
      await Promise.all([...sends, programs.send('once', 'w', sequence - 1n || 1n, 'again\n')]);
    }
    await programs.closeInput('once');
    await programs.closeInput('once');

    const lines = (await stream.rest()).stdout.trim().split('\n');
    expect(lines).to.deep.equal(Array.from({ length: 200 }, (_, index) => `line ${index + 1}`));
    expect(await reasonOf(programs.send('once', 'w', 201n, 'x'))).to.equal('PROCESS_STATE');
    await programs.send('once', 'w', 200n, 'again\n');
  });

  it('makes input wait for a program that does not read', async () => {
    const request = shell('read line; sleep 300');
    await programs.start(request);
    const piece = Buffer.alloc(MIB, 'x');
    await programs.send(request.processId, 'w', 1n, piece);
    const waiting = rejectionOf(programs.send(request.processId, 'w', 2n, piece));

    await programs.signal(request.processId, SIGKILL);

    expect((await waiting).reason).to.equal('PROCESS_STATE');
  });

  it('loses no input of any size', async () => {
    const stream = programs.launch({ processId: 'sum', cmd: 'wc', args: ['-c'] });
    await stream.started();
    for (let sequence = 1n; sequence <= 8n; sequence += 1n) {
      await programs.send('sum', 'w', sequence, Buffer.alloc(MIB, 'y'));
    }
    await programs.closeInput('sum');

    expect((await stream.rest()).stdout.trim()).to.equal(String(8 * MIB));
  });

  it('says so when the program has closed its input', async () => {
    const request = shell('exec <&-; echo closed; sleep 300');
    const stream = programs.launch(request);
    await stream.untilText('closed');

    await programs.input(request.processId, 'x');
    const error = await eventually(() => rejectionOf(programs.input(request.processId, 'x')));

    expect(error.metadata.failure).to.equal('input_closed');
    await programs.signal(request.processId, SIGKILL);
    expect((await stream.rest()).exited).to.include({ signal: 'SIGKILL' });
  });

  it('gives an empty input when there is none', async () => {
    const request = { processId: 'empty', cmd: 'cat', closeStdin: true };

    expect((await programs.launch(request).rest()).exited).to.include({ exitCode: 0 });
  });

  it('lets a program open its input and outputs by name', async () => {
    const request = shell('echo err > /dev/stderr; cat /dev/stdin > /dev/stdout');
    const stream = programs.launch({ ...request, user: 'nobody', cwd: '/' });
    await stream.started();
    await programs.input(request.processId, 'in');
    await stream.untilText('in');
    await programs.closeInput(request.processId);

    expect(await stream.rest()).to.include({ stdout: 'in', stderr: 'err\n' });
  });

  it('lets a program open its input by name after that was closed', async () => {
    const request = shell('read line; cat /dev/stdin; echo end');
    const stream = programs.launch({ ...request, user: 'nobody', cwd: '/' });
    await stream.started();
    await programs.input(request.processId, 'one\ntwo\n');
    await programs.closeInput(request.processId);

    expect((await stream.rest()).stdout).to.match(/end\n$/);
  });

  it('opens an input by name that was closed before it began', async () => {
    const request = { ...shell('cat /dev/stdin /dev/fd/0; echo end'), closeStdin: true };

    expect((await programs.launch(request).rest()).stdout).to.equal('end\n');
  });

  it('signals the whole group, stops it and lets it go on', async () => {
    const request = shell('trap "echo term" TERM; sleep 300 & echo $!; while :; do wait; done');
    const stream = programs.launch(request);
    const { pid, stdout } = await stream.untilText('\n');
    const sleeper = Number(stdout);
    // Until it is the program that it is to become, the shell's own trap takes its signals.
    await eventually(async () => {
      expect(await readFile(`/proc/${sleeper}/comm`, 'utf8')).to.equal('sleep\n');
    });

    await programs.signal(request.processId, SIGSTOP);
    await eventually(async () => {
      for (const stopped of [pid, sleeper]) expect(await stateOf(stopped)).to.equal('T');
    });
    await programs.signal(request.processId, SIGCONT);
    await eventually(async () => expect(await stateOf(sleeper)).not.to.equal('T'));
    await programs.signal(request.processId, SIGTERM);
    await stream.untilText('term');
    await eventually(async () => expect(await isAlive(sleeper)).to.equal(false));
    await programs.signal(request.processId, SIGKILL);

    expect((await stream.rest()).exited).to.include({ exitCode: 137, signal: 'SIGKILL' });
    expect(await reasonOf(programs.signal(request.processId, SIGTERM))).to.equal('PROCESS_STATE');
  });

  it('kills the whole group when the time is over', async () => {
    const request = { ...shell('sleep 300 & echo $!; wait'), timeoutMs: 500n };

    const result = await programs.launch(request).rest();

    expect(result.exited).to.include({ exitCode: 137, signal: 'SIGKILL', timedOut: true });
    await eventually(async () => expect(await isAlive(Number(result.stdout))).to.equal(false));
  });

  it('tells the end of a program that leaves another one in the background', async () => {
    const result = await programs.launch(shell('sleep 300 & echo $!')).rest();

    expect(result.exited).to.include({ exitCode: 0 });
    const pid = Number(result.stdout);
    expect(await isAlive(pid)).to.equal(true);
    process.kill(pid, SIGKILL);
  });

  it('loses nothing of what a program writes last', async () => {
    for (let round = 0; round < 10; round += 1) {
      const result = await programs.launch(shell('head -c 200000 /dev/zero; echo end >&2')).rest();

      expect(result.bytes.length).to.equal(200_004);
      expect(result.exited).to.include({ exitCode: 0 });
    }
  });

  it('lists what runs, and what has ended', async () => {
    const request = { processId: 'listed', cmd: 'cat', args: ['-'], user: 'nobody', cwd: '/tmp' };
    const pid = await programs.start(request);

    const running = await programs.find('listed');
    expect(running).to.deep.include({ ...request, pid, pty: false, exited: undefined });
    expect(Number(running.startedAtNs / 1_000_000n)).to.be.closeTo(Date.now(), 60_000);
    await programs.closeInput('listed');
    await eventually(async () => {
      expect((await programs.find('listed')).exited).to.include({ exitCode: 0 });
    });
  });

  it('says what cannot be launched or found', async () => {
    const launch = (request: object) => reasonOf(programs.launch(request).rest());

    expect(await launch({ processId: 'x1', cmd: 'no-such' })).to.equal('COMMAND_NOT_FOUND');
    expect(await launch({ processId: 'x2', cmd: 'true', user: 'no-such' })).to.equal(
      'COMMAND_NOT_STARTED',
    );
    for (const processId of ['', 'A', 'a/b', 'a'.repeat(65)]) {
      expect(await launch({ processId, cmd: 'true' })).to.equal('INVALID_REQUEST');
    }
    for (const call of [
      programs.attach('nobody').rest(),
      programs.signal('nobody', 9),
      programs.input('nobody', 'x'),
      programs.closeInput('nobody'),
      programs.resize('nobody', 80, 24),
    ]) {
      expect(await reasonOf(call)).to.equal('PROCESS_NOT_FOUND');
    }
    const request = shell('sleep 300');
    await programs.start(request);
    expect(await reasonOf(programs.resize(request.processId, 80, 24))).to.equal('PROCESS_STATE');
    for (const number of [0, 65, 4_000_000]) {
      const reason = await reasonOf(programs.signal(request.processId, number));
      expect(reason).to.equal('INVALID_REQUEST');
    }
    await programs.signal(request.processId, SIGKILL);
  });

  it('keeps the newest ended programs, and runs no more than it may', async function () {
    this.timeout(120_000);
    await using other = await startEnvd();
    const others = new LaunchedPrograms(other);
    for (let index = 0; index < PROCESS_LIMITS.endedMax + 5; index += 1) {
      await others.launch({ processId: `e${index}`, cmd: 'true' }).rest();
    }
    expect((await others.list()).map(({ processId }) => processId)).to.deep.equal(
      Array.from({ length: PROCESS_LIMITS.endedMax }, (_, index) => `e${index + 5}`),
    );

    for (let index = 0; index < PROCESS_LIMITS.runningMax; index += 1) {
      await others.start({ processId: `r${index}`, cmd: 'sleep', args: ['300'] });
    }
    const refused = await rejectionOf(others.launch({ processId: 'more', cmd: 'true' }).rest());
    expect(refused.metadata.failure).to.equal('program_limit');
    for (let index = 0; index < PROCESS_LIMITS.runningMax; index += 1) {
      await others.signal(`r${index}`, SIGKILL);
    }
    await eventually(() => others.launch({ processId: 'more', cmd: 'true' }).rest());
  });

  it('leaves no descriptor and no child behind', async () => {
    const before = await openDescriptors(envd.pid);
    for (let index = 0; index < 40; index += 1) {
      const request = { processId: `leak${index}`, cmd: 'cat' };
      await programs.start(request);
      await programs.closeInput(request.processId);
      await programs.attach(request.processId).rest();
      await reasonOf(programs.launch({ processId: 'x', cmd: 'no-such-program' }).rest());
    }

    await eventually(async () => expect(await openDescriptors(envd.pid)).to.be.at.most(before + 2));
  });
});

async function stateOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return /^State:\s+(\w)/m.exec(status)?.[1] ?? '';
}

async function openDescriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
