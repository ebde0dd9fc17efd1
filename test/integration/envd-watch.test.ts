/** What the real guest daemon tells of directories that it watches, by the real wrenn-guest. */
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { WATCHES_MAX } from '../../envd/filesystem/watch-directory.js';
import { type FileEvent, FileEventType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code } from '../../lib/errors/index.js';
import { type EnvdProcess, isAlive, residentBytes, startEnvd } from '../support/envd.js';
import { eventually } from '../support/eventually.js';
import { buildGuestHelper } from '../support/guest-helper.js';
import { rejectionOf } from '../support/rejection.js';
import { requireNeed } from '../support/requirements.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const MIB = 1024 * 1024;
/** More than the kernel and the daemon together hold for a reader. */
const STORM_EVENTS = 60_000;
const GROWTH_BYTES_MAX = 100 * MIB;

describe('envd watching directories', function () {
  this.timeout(90_000);
  const open_: Watch[] = [];
  let helpers: Awaited<ReturnType<typeof temporaryDirectory>>;
  let envd: EnvdProcess;
  let folder: string;
  let made = 0;

  before(async function () {
    requireNeed(this, 'root');
    helpers = await temporaryDirectory();
    envd = await startEnvd({ helperPath: buildGuestHelper(helpers.path) });
  });

  after(async () => {
    await envd?.stop();
    await helpers?.remove();
  });

  beforeEach(async () => {
    made += 1;
    folder = join(envd.directory, `watched-${made}`);
    await mkdir(folder);
  });

  afterEach(async () => {
    for (const watch of open_.splice(0)) watch.stop();
    await eventually(async () => expect(await helperPids(envd.pid)).to.deep.equal([]));
  });

  const at = (path: string) => join(folder, path);
  const shell = (script: string) => execFileSync('bash', ['-ec', script], { cwd: folder });

  async function watch(recursive: boolean, path = folder): Promise<Watch> {
    const started = new Watch(envd, path, recursive);
    open_.push(started);
    await started.ready();
    return started;
  }

  it('tells what happens to files, in order', async () => {
    await writeFile(at('old'), '');
    const watched = await watch(false);

    await writeFile(at('a'), 'content');
    await watched.until('WRITE a');
    await rename(at('a'), at('b'));
    await chmod(at('b'), 0o600);
    await rm(at('b'));
    await mkdir(at('d'));
    await rm(at('old'));

    expect(await watched.until('REMOVE old')).to.deep.equal([
      'CREATE a',
      'WRITE a',
      'RENAME a > b',
      'CHMOD b',
      'REMOVE b',
      'CREATE d/',
      'REMOVE old',
    ]);
  });

  it('tells of writes while the file is open', async () => {
    const watched = await watch(false);
    await using file = await open(at('log'), 'a');

    await file.write('one line');

    expect(await watched.until('WRITE log')).to.deep.equal(['CREATE log', 'WRITE log']);
  });

  it('tells of moves from outside and to outside as of creation and removal', async () => {
    const outside = join(envd.directory, `outside-${made}`);
    await mkdir(outside);
    await writeFile(join(outside, 'file'), '');
    const watched = await watch(true);

    await rename(join(outside, 'file'), at('in'));
    await rename(at('in'), join(outside, 'out'));

    expect(await watched.until('REMOVE in')).to.deep.equal(['CREATE in', 'REMOVE in']);
  });

  it('tells nothing of directories below, unless it is to', async () => {
    await mkdir(at('below'));
    const watched = await watch(false);

    await writeFile(at('below/file'), '');
    await writeFile(at('end'), '');

    expect(await watched.until('CREATE end')).to.deep.equal(['CREATE end']);
  });

  it('follows directories that are there, that are made, and that are moved', async () => {
    shell('mkdir -p a/b/c');
    const watched = await watch(true);

    await writeFile(at('a/b/c/1'), '');
    await rename(at('a/b'), at('moved'));
    await appendFile(at('moved/c/1'), 'more');
    await watched.until('WRITE moved/c/1');
    shell('mkdir -p new/x/y; touch new/x/y/2');
    await watched.until('CREATE new/x/y/2');
    await writeFile(at('new/x/y/3'), '');

    const events = await watched.until('CREATE new/x/y/3');
    expect(events.slice(0, 3)).to.deep.equal([
      'CREATE a/b/c/1',
      'RENAME a/b > moved/',
      'WRITE moved/c/1',
    ]);
    expect(events).to.include.members(['CREATE new/', 'CREATE new/x/', 'CREATE new/x/y/']);
  });

  it('does not follow links, but that to the directory itself', async () => {
    shell('mkdir real other; ln -s ../other real/link; ln -s real watched');
    const watched = await watch(true, at('watched'));

    await writeFile(at('other/unseen'), '');
    await symlink('nowhere', at('real/dangling'));

    expect(await watched.until('CREATE dangling')).to.deep.equal(['CREATE dangling']);
  });

  it('shows names of any bytes', async () => {
    const watched = await watch(false);

    shell("touch $'line\\nfeed' $'\\xff'");

    const events = await watched.until('CREATE \uFFFD');
    expect(events.filter((event) => event.startsWith('CREATE'))).to.deep.equal([
      'CREATE line\nfeed',
      'CREATE \uFFFD',
    ]);
  });

  it('tells of a file that is written through the daemon only when it has its name', async () => {
    const watched = await watch(false);
    const write = (content: string) =>
      envd.files.writeFile(
        { path: at('file'), content: Buffer.from(content), user: '', mode: 0 },
        envd.options,
      );

    await write('one');
    await write('two');

    await watched.until('CREATE file', 2);
    expect(new Set(watched.events)).to.deep.equal(new Set(['CREATE file']));
  });

  for (const [what, script] of [
    ['removed', 'rmdir watched'],
    ['renamed', 'mv watched elsewhere'],
    ['unmounted', 'umount watched'],
  ] as const) {
    it(`ends after the directory is ${what}`, async () => {
      await mkdir(at('watched'));
      if (what === 'unmounted') shell('mount -t tmpfs tmpfs watched');
      const watched = await watch(true, at('watched'));

      shell(script);

      expect(await watched.end()).to.include({ code: Code.NOT_FOUND, reason: 'FILE_NOT_FOUND' });
      expect(watched.events.at(-1)).to.equal('REMOVE /');
    });
  }

  it('says what is wrong with the path', async () => {
    await writeFile(at('file'), '');
    const failureOf = (path: string) => new Watch(envd, path, false).end();

    expect(await failureOf(at('none'))).to.include({ reason: 'FILE_NOT_FOUND' });
    expect((await failureOf(at('file'))).metadata).to.include({ failure: 'file_not_directory' });
    expect(await failureOf('relative')).to.include({ reason: 'INVALID_REQUEST' });
    expect(await failureOf(`/${'n'.repeat(5000)}`)).to.include({ reason: 'FILE_NOT_USABLE' });
  });

  it('watches as many directories as it may, and more once one of them is let go', async () => {
    for (let index = 0; index < WATCHES_MAX; index += 1) await watch(false);

    const error = await new Watch(envd, folder, false).end();

    expect(error).to.include({ code: Code.RESOURCE_EXHAUSTED, reason: 'STREAM_LIMIT' });
    open_.shift()?.stop();
    await eventually(() => watch(false));
  });

  it('lets go of everything when its caller goes away', async () => {
    const watched = await watch(true);
    expect(await helperPids(envd.pid)).to.have.length(1);

    watched.stop();

    await eventually(async () => expect(await helperPids(envd.pid)).to.deep.equal([]));
  });

  it('ends a watch whose helper was killed', async () => {
    const watched = await watch(true);
    const [pid = 0] = await helperPids(envd.pid);

    process.kill(pid, 'SIGKILL');

    expect(await watched.end()).to.include({ reason: 'FILE_NOT_USABLE' });
  });

  it('tells a slow reader of an OVERFLOW, and of what comes after it, in bounded memory', async () => {
    const watched = await watch(true);
    watched.pause();
    const before = await residentBytes(envd.pid);

    shell(`mkdir sub; cd sub; seq -f %06g ${STORM_EVENTS} | xargs touch`);
    await writeFile(at('mark'), '');
    const after = await residentBytes(envd.pid);
    watched.resume();
    await watched.until('OVERFLOW');
    await writeFile(at('sub/last'), '');

    const events = await watched.until('CREATE sub/last');
    expect(events.length).to.be.below(STORM_EVENTS);
    expect(after - before).to.be.below(GROWTH_BYTES_MAX);
  });

  it('takes its helpers along when the daemon is killed', async () => {
    await watch(true);
    const [pid = 0] = await helperPids(envd.pid);

    await envd.restart();

    await eventually(async () => expect(await isAlive(pid)).to.equal(false));
  });
});

/** One watch, whose events are collected as words. */
class Watch {
  readonly events: string[] = [];
  readonly #cancel = new AbortController();
  readonly #root: string;
  #failure: unknown;
  #isReady = false;
  #paused: Promise<void> | undefined;
  resume: () => void = () => undefined;

  constructor(envd: EnvdProcess, path: string, recursive: boolean) {
    this.#root = path;
    const options = { ...envd.options, timeoutMs: 80_000, signal: this.#cancel.signal };
    void this.#collect(envd.files.watchDir({ path, recursive }, options));
  }

  ready(): Promise<void> {
    return eventually(() => {
      if (this.#failure) throw this.#failure;
      if (!this.#isReady) throw new Error('it is not ready');
    });
  }

  /** Waits for an event; returns all up to now. */
  until(event: string, times = 1): Promise<string[]> {
    return eventually(
      () => {
        const count = this.events.filter((each) => each === event).length;
        if (count < times) {
          const seen = this.events.slice(-20).join(', ');
          throw new Error(`no ${event} among ${this.events.length}: ${seen}`);
        }
        return this.events;
      },
      { timeoutMs: 30_000 },
    );
  }

  /** Waits for the error by which it ends. */
  async end() {
    await eventually(() => {
      if (!this.#failure) throw new Error('it has not ended');
    });
    return rejectionOf(Promise.reject(this.#failure));
  }

  pause(): void {
    this.#paused = new Promise((resolve) => {
      this.resume = resolve;
    });
  }

  stop(): void {
    this.resume();
    this.#cancel.abort(new Error('the test is over'));
  }

  async #collect(events: AsyncIterable<FileEvent>): Promise<void> {
    try {
      for await (const event of events) {
        if (event.type === FileEventType.FILE_EVENT_TYPE_READY) this.#isReady = true;
        else this.events.push(this.#words(event));
        await this.#paused;
      }
      this.#failure = new Error('it ended without an error');
    } catch (error) {
      this.#failure = error;
    }
  }

  #words({ type, path, oldPath, isDirectory }: FileEvent): string {
    const name = FileEventType[type].replace('FILE_EVENT_TYPE_', '');
    if (path === '') return name;
    const short = (full: string) => full.slice(this.#root.length + 1);
    const before = oldPath ? `${short(oldPath)} > ` : '';
    return `${name} ${before}${short(path)}${isDirectory ? '/' : ''}`;
  }
}

/** The watching processes that a daemon has. */
async function helperPids(daemonPid: number): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(parent) === daemonPid && command.includes('\0watch\0')) pids.push(Number(name));
  }
  return pids;
}
