/** `wrenn-guest watch` itself, under sanitizers: its records, and that it loses no directory. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type WatchRecord, WatchRecordReader } from '../../envd/filesystem/watch-records.js';
import { eventually } from '../../test/support/eventually.js';
import { buildGuestHelper } from '../../test/support/guest-helper.js';
import { skipBecause } from '../../test/support/skip-reason.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';

const SANITIZERS = 'address,undefined';
const STEPS = 3000;
/** Of those after each of which it is waited. */
const SLOW_STEPS = 300;
const SLOW_ATTEMPTS_MAX = 3;
const NAMES = ['a', 'b', 'c', 'd'];
const WAIT = { timeoutMs: 60_000 };

describe('wrenn-guest watch', function () {
  this.timeout(120_000);
  let build: TemporaryDirectory;
  let directory: TemporaryDirectory;
  let program: string;
  let watch: Watch | undefined;

  before(async function () {
    if (!hasSanitizers()) skipBecause(this, "needs the compiler's libasan and libubsan");
    build = await temporaryDirectory();
    program = buildGuestHelper(build.path, SANITIZERS);
  });

  after(() => build?.remove());

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(async () => {
    watch?.kill();
    await directory.remove();
  });

  const at = (path: string) => join(directory.path, path);

  async function start(...args: string[]): Promise<Watch> {
    watch = new Watch(program, args);
    await eventually(() => expect(watch?.kinds()).to.include('ready'), WAIT);
    return watch;
  }

  it('refuses arguments that it does not know', () => {
    for (const args of [[], ['relative'], ['--other', '/'], ['--recursive'], ['/', '/', '/']]) {
      expect(spawnSync(program, ['watch', ...args]).status).to.equal(2);
    }
  });

  it('tells why it cannot watch', () => {
    writeFileSync(at('file'), '');

    for (const [path, error] of [
      [at('none'), constants.errno.ENOENT],
      [at('file'), constants.errno.ENOTDIR],
    ] as const) {
      const { status, stdout } = spawnSync(program, ['watch', path]);
      const expected = { kind: 'ended', isDirectory: false, error, path: '', oldPath: '' };
      expect(new WatchRecordReader().read(stdout)).to.deep.equal([expected]);
      expect(status).to.equal(0);
    }
  });

  it('ends when nobody reads what it writes, also when nothing happens', async () => {
    const { exited, stdout } = await start('--recursive', directory.path);

    stdout.destroy();

    await exited;
  });

  it('watches every directory there is after any moves, makings and removals', async () => {
    mkdirSync(at('root/a/b'), { recursive: true });
    mkdirSync(at('outside'));
    const seed = randomInt(2 ** 31);
    const running = await start('--recursive', at('root'));

    shuffle(at('root'), at('outside'), seed, STEPS);
    mkdirSync(at('root/the-end'));
    await running.sees('the-end', seed);
    const directories = directoriesBelow(at('root'), '');
    for (const path of directories) writeFileSync(join(at('root'), path, 'probe'), '');

    for (const path of directories) await running.sees(join(path, 'probe'), seed);
    rmSync(at('root'), { recursive: true });
    expect(await running.exited).to.deep.equal({ code: 0, errors: '' });
    expect(running.records.at(-1)).to.include({ kind: 'ended' });
  });

  it('tells where everything went, so that a reader knows what there is', async () => {
    for (let attempt = 1; ; attempt += 1) {
      const root = at(`root-${attempt}`);
      const outside = at(`outside-${attempt}`);
      mkdirSync(root);
      mkdirSync(outside);
      const seed = randomInt(2 ** 31);
      const running = await start('--recursive', root);

      for (let step = 0; step < SLOW_STEPS; step += 1) {
        shuffle(root, outside, seed + step, 1);
        mkdirSync(join(root, `step-${step}`));
        await running.sees(`step-${step}`, seed);
      }
      watch?.kill();

      // On a busy machine what happens meanwhile may be told as an overflow, which says nothing of places.
      if (running.kinds().includes('overflow') && attempt < SLOW_ATTEMPTS_MAX) continue;
      expect(running.kinds()).not.to.include('overflow');
      expect(replay(running.records), `seed ${seed}`).to.deep.equal(
        new Set(directoriesBelow(root, '').filter((path) => path !== '')),
      );
      return;
    }
  });

  it('goes on after an overflow with all directories that there are', async () => {
    const running = await start('--recursive', directory.path);

    running.stop();
    const script = 'seq -f f%.0f 30000 | xargs touch; mkdir -p below/deep';
    execFileSync('bash', ['-ec', script], { cwd: directory.path });
    running.goOn();
    await eventually(() => expect(running.kinds()).to.include('overflow'), WAIT);

    writeFileSync(at('below/deep/probe'), '');
    await running.sees('below/deep/probe', 0);
  });
});

class Watch {
  readonly records: WatchRecord[] = [];
  readonly stdout: NonNullable<ChildProcess['stdout']>;
  readonly exited: Promise<{ code: number | null; errors: string }>;
  readonly #child: ChildProcess;
  readonly #created = new Set<string>();

  constructor(program: string, args: string[]) {
    const child = spawn(program, ['watch', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.stdout = child.stdout;
    const reader = new WatchRecordReader();
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    child.stdout.on('data', (bytes: Buffer) => {
      for (const record of reader.read(bytes)) {
        this.records.push(record);
        if (record.kind === 'create') this.#created.add(record.path);
      }
    });
    this.exited = new Promise((resolve) => {
      child.once('close', (code) => resolve({ code, errors }));
    });
  }

  kinds(): string[] {
    return this.records.map(({ kind }) => kind);
  }

  async sees(path: string, seed: number): Promise<void> {
    await eventually(
      () => expect(this.#created.has(path), `${path}, seed ${seed}`).to.equal(true),
      WAIT,
    );
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Makes, moves and removes directories, also out of the tree and back. */
function shuffle(root: string, outside: string, seed: number, steps: number): void {
  // Neighbouring seeds begin alike without it.
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const place = () => {
    const parts = Array.from({ length: 1 + random(3) }, () => NAMES[random(NAMES.length)] ?? '');
    return join(random(6) === 0 ? outside : root, ...parts);
  };
  for (let step = 0; step < steps; step += 1) {
    const kind = random(10);
    try {
      if (kind < 5) mkdirSync(place());
      else if (kind < 9) renameSync(place(), place());
      else rmSync(place(), { recursive: true });
    } catch (error) {
      // What is not there, or is in the way, is no step.
      if (!/^E(NOENT|EXIST|NOTEMPTY|INVAL)$/.test(String((error as NodeJS.ErrnoException).code))) {
        throw error;
      }
    }
  }
}

/** The directories that a reader of the records knows of. */
function replay(records: readonly WatchRecord[]): Set<string> {
  let known = new Set<string>();
  const within = (path: string, above: string) => path === above || path.startsWith(`${above}/`);
  for (const { kind, path, oldPath } of records) {
    if (kind === 'create') known.add(path);
    if (kind === 'remove') known = new Set([...known].filter((each) => !within(each, path)));
    if (kind !== 'rename') continue;
    const moved = [...known].filter((each) => within(each, oldPath));
    known = new Set([...known].filter((each) => !within(each, oldPath) && !within(each, path)));
    for (const each of moved) known.add(path + each.slice(oldPath.length));
    known.add(path);
  }
  return known;
}

/** All directories of a tree, itself as the empty path. */
function directoriesBelow(root: string, path: string): string[] {
  const below = readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => directoriesBelow(root, join(path, name)));
  return [path, ...below];
}

function hasSanitizers(): boolean {
  return ['libasan.so', 'libubsan.so'].every((name) => {
    const found = execFileSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' });
    return found.trim() !== name;
  });
}
