/** Programs and files of a real machine as streams: over pauses, restarts of the agent, and terminals. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { WrennApiError } from '../../clients/typescript/index.js';
import { FileEventType, FileType } from '../../gen/ts/wrenn/v1/file.js';
import type { ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import { ExitReason, Signal } from '../../gen/ts/wrenn/v1/process.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';

const FILE_BYTES = 48 * 1024 * 1024;
const PIECE_BYTES = 100_000;
const WAIT = { timeoutMs: 120_000 };

/** Prints numbered lines for ever, and notes how far it is. */
const COUNTER = 'i=0; while :; do i=$((i+1)); echo "line $i of the count"; sleep 0.02; done';

describe('streams of a real machine', function () {
  this.timeout(300_000);
  let platform: TestPlatform;
  let sandboxId: string;

  before(async function () {
    requireNeed(this, 'root', 'qemu', 'images', 'netns');
    platform = await TestPlatform.start();
    ({ sandboxId } = await platform.client.sandboxes.create({ memoryMb: 256 }));
  });

  after(() => platform?.[Symbol.asyncDispose]());

  it('tell output as it comes, with offsets, and the end', async () => {
    const script = 'echo one; echo two >&2; read line; echo "got $line"; exit 3';
    const stream = platform.client.processes.run(sandboxId, shell(script), WAIT);
    await stream.write('three\n');
    const told = new Told();
    await told.take(stream);

    expect(told.text('stdout')).to.equal('one\ngot three\n');
    expect(told.text('stderr')).to.equal('two\n');
    expect(told.exited).to.deep.include({ exitCode: 3, reason: ExitReason.EXIT_REASON_EXITED });
    expect(told.hasGap).to.equal(false);
  });

  it('give a program a terminal that can be typed on and resized', async () => {
    const program = { ...shell('exec sh -i'), pty: { cols: 91, rows: 33 } };
    const stream = platform.client.processes.run(sandboxId, program, WAIT);
    const told = new Told();
    const done = told.take(stream);
    await stream.write('stty size\n');
    await eventually(() => expect(told.text('pty')).to.contain('33 91'), WAIT);
    await stream.resize(120, 40);
    await stream.write('stty size; tty\n');
    await eventually(() => expect(told.text('pty')).to.contain('40 120'), WAIT);
    await eventually(() => expect(told.text('pty')).to.match(/\/dev\/pts\/\d/), WAIT);

    await stream.write('sleep 1000\n');
    await stream.write('\x03');
    await stream.write('echo inter"rupted"; exit 5\n');
    await done;

    expect(told.text('pty')).to.contain('interrupted');
    expect(told.exited?.exitCode).to.equal(5);
  });

  it('go on for their caller over a pause and a resume', async () => {
    const stream = platform.client.processes.run(sandboxId, shell(COUNTER), WAIT);
    const told = new Told();
    const done = told.take(stream);
    for (let round = 0; round < 3; round += 1) {
      const before = told.length;
      await eventually(() => expect(told.length).to.be.greaterThan(before + 500), WAIT);
      await platform.client.sandboxes.pause(sandboxId);
      await platform.client.sandboxes.resume(sandboxId);
    }
    await stream.signal(Signal.SIGNAL_KILL);
    await done;

    told.expectCounted();
    expect(told.exited?.signal).to.equal('SIGKILL');
  });

  it('go on by attaching after the agent was killed', async () => {
    const { processId } = await platform.client.processes.start(sandboxId, shell(COUNTER), WAIT);
    const told = new Told();
    const breaking = reasonOf(
      told.take(platform.client.processes.attach(sandboxId, processId, {}, WAIT)),
    );
    await eventually(() => expect(told.length).to.be.greaterThan(500), WAIT);
    platform.kill('agent');
    expect(await breaking).to.equal('HOST_UNAVAILABLE');
    await platform.answers(sandboxId);

    const further = told.take(
      platform.client.processes.attach(sandboxId, processId, { offset: told.length }, WAIT),
    );
    const before = told.length;
    await eventually(() => expect(told.length).to.be.greaterThan(before + 500), WAIT);
    await platform.client.processes.signal(sandboxId, processId, Signal.SIGNAL_TERM, WAIT);
    await further;

    told.expectCounted();
    expect(told.exited?.signal).to.equal('SIGTERM');
  });

  it('carry files of any size, whole, both ways', async () => {
    const content = randomBytes(FILE_BYTES);
    const sent = hashOf(content);
    const { sizeBytes } = await platform.client.files.writeStream(
      ...([sandboxId, '/root/deep/er/file', pieces(content)] as const),
      { mode: 0o600 },
      WAIT,
    );
    expect(sizeBytes).to.equal(FILE_BYTES);
    const { stdoutText } = await platform.client.exec(sandboxId, {
      ...{ cmd: 'sha256sum', args: ['/root/deep/er/file'] },
    });
    expect(stdoutText).to.contain(sent);

    const hash = createHash('sha256');
    for await (const piece of platform.client.files.readStream(
      sandboxId,
      '/root/deep/er/file',
      WAIT,
    )) {
      hash.update(piece);
    }
    expect(hash.digest('hex')).to.equal(sent);
    const info = await platform.client.files.stat(sandboxId, '/root/deep/er/file', WAIT);
    expect(info).to.include({ permissions: '-rw-------', owner: 'root', sizeBytes: FILE_BYTES });
  });

  it('leave nothing of an upload that breaks off', async () => {
    async function* broken() {
      yield Buffer.alloc(PIECE_BYTES);
      throw new Error('the source broke');
    }
    const upload = platform.client.files.writeStream(
      ...([sandboxId, '/root/broken/file', broken(), {}, WAIT] as const),
    );
    await upload.then(
      () => expect.fail('the upload succeeded'),
      (error: Error) => expect(error.message).to.equal('the source broke'),
    );

    await eventually(async () => {
      const names: string[] = [];
      for await (const { path } of platform.client.files.list(sandboxId, '/root', { depth: 2 })) {
        names.push(path);
      }
      expect(names.filter((path) => path.startsWith('/root/broken/'))).to.deep.equal([]);
    });
  });

  it('show, make, move and remove what is in folders', async () => {
    const { files } = platform.client;
    await files.makeDir(sandboxId, '/srv/a/b', { user: 'nobody', mode: 0o750 }, WAIT);
    await files.write(sandboxId, '/srv/a/b/file', 'text', { user: 'nobody' }, WAIT);
    await files.move(sandboxId, '/srv/a/b/file', '/srv/c/moved', WAIT);
    const listed = [];
    for await (const { path, type } of files.list(sandboxId, '/srv', { depth: 3 })) {
      listed.push([path, type]);
    }
    expect(listed).to.deep.equal([
      ['/srv/a', FileType.FILE_TYPE_DIRECTORY],
      ['/srv/a/b', FileType.FILE_TYPE_DIRECTORY],
      ['/srv/c', FileType.FILE_TYPE_DIRECTORY],
      ['/srv/c/moved', FileType.FILE_TYPE_FILE],
    ]);
    expect(await files.stat(sandboxId, '/srv/a/b', WAIT)).to.include({
      ...{ owner: 'nobody', permissions: 'drwxr-x---' },
    });
    await files.remove(sandboxId, '/srv/a', WAIT);
    expect(await reasonOf(files.stat(sandboxId, '/srv/a', WAIT))).to.equal('FILE_NOT_FOUND');
  });

  it('watch a folder, also over a pause', async () => {
    const { files, sandboxes } = platform.client;
    await files.makeDir(sandboxId, '/srv/watched', {}, WAIT);
    const abort = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      const options = { ...WAIT, signal: abort.signal };
      for await (const { type, path } of files.watch(sandboxId, '/srv/watched', {}, options)) {
        seen.push(`${FileEventType[type]} ${path}`);
      }
    })().catch(() => undefined);
    await eventually(() => expect(seen[0]).to.contain('READY'), WAIT);
    await files.write(sandboxId, '/srv/watched/one', 'text', {}, WAIT);
    await eventually(() => expect(seen.join()).to.contain('/srv/watched/one'), WAIT);

    await sandboxes.pause(sandboxId);
    await sandboxes.resume(sandboxId);
    await eventually(() => expect(seen.join()).to.contain('OVERFLOW'), WAIT);
    await files.remove(sandboxId, '/srv/watched/one', WAIT);
    await eventually(() => {
      expect(seen).to.include('FILE_EVENT_TYPE_REMOVE /srv/watched/one');
    }, WAIT);
    abort.abort();
    await watching;
  });
});

function shell(script: string) {
  return { cmd: 'sh', args: ['-c', script] };
}

function hashOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function pieces(content: Buffer): Readable {
  const all: Buffer[] = [];
  for (let at = 0; at < content.length; at += PIECE_BYTES) {
    all.push(content.subarray(at, at + PIECE_BYTES));
  }
  return Readable.from(all);
}

/** The reason of a call that must fail. */
async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof WrennApiError) return error.reason;
    throw error;
  }
  throw new Error('the call succeeded, it should have failed');
}

/** What the events of a program have told so far. */
class Told {
  length = 0;
  hasGap = false;
  exited: Extract<ProcessEvent['event'], { $case: 'exited' }>['value'] | undefined;
  readonly #texts: Record<string, string> = {};

  text(stream: 'stdout' | 'stderr' | 'pty'): string {
    return this.#texts[stream] ?? '';
  }

  async take(events: AsyncIterable<ProcessEvent>): Promise<void> {
    for await (const { event } of events) {
      if (event?.$case === 'exited') this.exited = event.value;
      if (!event || event.$case === 'started' || event.$case === 'exited') continue;
      const { offset, data } = event.value;
      this.hasGap ||= offset !== this.length;
      this.length += data.length;
      this.#texts[event.$case] = this.text(event.$case) + data.toString();
    }
  }

  /** The output of COUNTER, without a line lost or told twice. */
  expectCounted(): void {
    const lines = this.text('stdout').split('\n').slice(0, -1);
    expect(this.hasGap).to.equal(false);
    expect(lines).to.deep.equal(lines.map((_, index) => `line ${index + 1} of the count`));
  }
}
