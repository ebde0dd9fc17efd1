import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import { WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { linkLibraries } from '../../lib/postgres/binaries.js';
import { EmbeddedPostgres } from '../../lib/postgres/embedded.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import { skipBecause } from '../support/skip-reason.js';

const OWNER_SCRIPT = join(import.meta.dirname, '..', 'support', 'postgres-owner.ts');
const NOBODY = 65_534;
const RESTART_TIMEOUT_MS = 30_000;

describe('the embedded Postgres', function () {
  this.timeout(60_000);
  let directory: string;
  const servers: EmbeddedPostgres[] = [];
  const owners: ChildProcess[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wrenn-ep-'));
  });
  afterEach(async () => {
    for (const owner of owners.splice(0)) owner.kill('SIGKILL');
    for (const server of servers.splice(0)) await server.stop();
    await eventually(async () => expect(await processesIn(directory)).to.deep.equal([]));
    await rm(directory, { recursive: true, force: true });
  });

  it('keeps its data from one run to the next', async () => {
    const first = await start();
    await query(first, 'create table kept as select 42 as answer');
    await first.stop();
    const rows = await query(await start(), 'select answer from kept');
    expect(rows).to.deep.equal([{ answer: 42 }]);
  });

  it('can be reached through its socket only, which only its owner can open', async () => {
    const server = await start();
    expect(await query(server, 'show listen_addresses')).to.deep.equal([{ listen_addresses: '' }]);
    for (const folder of ['db', 'db/data', 'run']) {
      expect((await stat(join(directory, folder))).mode & 0o077, folder).to.equal(0);
    }
  });

  it('does not run as root', async () => {
    const server = await start();
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    const map = await readFile(`/proc/${server.pid}/uid_map`, 'utf8');
    const isMapped = /^\s*65534\s+0\s+1\s*$/.test(map);
    expect(isMapped || !/^Uid:\s+0\s/m.test(status)).to.equal(true);
    expect(status).to.match(/^CapEff:\s+0{16}$/m);
  });

  it('is made anew when its making was interrupted', async () => {
    await mkdir(join(directory, 'db', 'half.unfinished', 'base'), { recursive: true });
    await start();
    expect(await readdir(join(directory, 'db'))).to.deep.equal(['data']);
  });

  it('starts although a stale pid file names a living process', async () => {
    await (await start()).stop();
    servers.length = 0;
    const pidFile = join(directory, 'db', 'data', 'postmaster.pid');
    await writeFile(pidFile, `${process.pid}\n${join(directory, 'db', 'data')}\n1\n5432\n`);
    await query(await start(), 'select 1');
  });

  it('starts again by itself when it is killed', async () => {
    const server = await start();
    const killed = server.pid as number;
    process.kill(killed, 'SIGKILL');
    await eventually(() => query(server, 'select 1'), { timeoutMs: RESTART_TIMEOUT_MS });
    expect(server.pid).to.not.equal(killed);
  });

  it('ends when its owner is killed, and runs for the next owner at once', async () => {
    const { owner, pid } = await startOwner();
    expect(isRunning(pid)).to.equal(true);
    await killAndWait(owner);
    await query(await start(), 'select 1');
    expect(isRunning(pid)).to.equal(false);
  });

  it('ends the server of a killed owner that does not end by itself', async () => {
    const { owner, pid } = await startOwner();
    process.kill(pid, 'SIGSTOP');
    await killAndWait(owner);
    await query(await start(), 'select 1');
    expect(isRunning(pid)).to.equal(false);
  });

  it('is refused to a second owner', async () => {
    await start();
    expect(await reasonOf(start())).to.equal('HOST_REQUIREMENT');
  });

  it('refuses the data of another version', async () => {
    await (await start()).stop();
    servers.length = 0;
    await writeFile(join(directory, 'db', 'data', 'PG_VERSION'), '15\n');
    expect(await reasonOf(start())).to.equal('HOST_REQUIREMENT');
  });

  it('says so when the path of its socket is too long', async () => {
    const call = EmbeddedPostgres.start({
      directory: join(directory, 'db'),
      socketDirectory: join(directory, 'x'.repeat(100)),
      log: silentLog,
    });
    expect(await reasonOf(call)).to.equal('HOST_REQUIREMENT');
  });

  it('runs for a user who is not root', async function () {
    requireNeed(this, 'root');
    const nobody = { uid: NOBODY, gid: NOBODY };
    if (spawnSync('test', ['-r', OWNER_SCRIPT], nobody).status !== 0) {
      skipBecause(this, 'needs a checkout that every user can read');
    }
    await chmod(directory, 0o755);
    await chown(directory, NOBODY, NOBODY);
    const { pid } = await startOwner(nobody);
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(status).to.match(/^Uid:\s+65534\s/m);
    expect((await stat(join(directory, 'db', 'data'))).uid).to.equal(NOBODY);
  });

  it('makes the links that the package’s install script would have made', async () => {
    const libraries = join(directory, 'native', 'lib');
    await mkdir(libraries, { recursive: true });
    const list = [{ source: 'native/lib/liba.so.1.2', target: 'native/lib/liba.so.1' }];
    await writeFile(join(directory, 'native', 'pg-symlinks.json'), JSON.stringify(list));
    await linkLibraries(directory);
    await linkLibraries(directory);
    expect(await readlink(join(libraries, 'liba.so.1'))).to.equal('liba.so.1.2');
  });

  async function start(): Promise<EmbeddedPostgres> {
    const server = await EmbeddedPostgres.start({
      directory: join(directory, 'db'),
      socketDirectory: join(directory, 'run'),
      log: silentLog,
      settings: { fsync: 'off' },
    });
    servers.push(server);
    return server;
  }

  async function startOwner(user: { uid?: number; gid?: number } = {}) {
    const owner = spawn(process.execPath, ['--import', 'tsx', OWNER_SCRIPT, directory], {
      ...user,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, TMPDIR: directory },
    });
    owners.push(owner);
    const [line] = await once(owner.stdout, 'data');
    return { owner, pid: Number(line) };
  }
});

async function killAndWait(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function query(server: EmbeddedPostgres, text: string): Promise<unknown[]> {
  const client = new pg.Client(server.connection);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** Whether there is such a process; one that has ended and was not waited for is none. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Processes whose working directory is below the folder. */
async function processesIn(directory: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(
    pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
  );
  return pids.filter((_, index) => folders[index]?.startsWith(directory));
}

async function reasonOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => WrennError.from(error).reason,
  );
}
