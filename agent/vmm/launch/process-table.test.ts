import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { eventually } from '../../../test/support/eventually.js';
import {
  commandLineOf,
  endProcess,
  identifyProcess,
  isRunning,
  listPids,
  type ProcessIdentity,
  parseStat,
  sendKill,
} from './process-table.js';

describe('process table', () => {
  it('reads state and start time past a program name that looks like fields', () => {
    const numbers = Array.from({ length: 30 }, (_, index) => String(index + 4)).join(' ');

    const parsed = parseStat(`4711 (a) Z 9 (b) S ${numbers}\n`);

    expect(parsed).to.deep.equal({ state: 'S', startTimeTicks: '22' });
  });

  it('finds this process with its command line', async () => {
    const identity = await identifyProcess(process.pid);

    expect(identity?.pid).to.equal(process.pid);
    expect(identity && (await isRunning(identity))).to.equal(true);
    expect(await listPids()).to.include(process.pid);
    expect((await commandLineOf(process.pid)).length).to.be.greaterThan(0);
  });

  it('takes another start time for another process, and does not kill it', async () => {
    const child = spawn('sleep', ['60']);
    try {
      const identity = await identityOf(child.pid);
      const stranger = { ...identity, startTimeTicks: '1' };

      await endProcess(stranger);

      expect(await isRunning(stranger)).to.equal(false);
      expect(await isRunning(identity)).to.equal(true);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('kills a stopped process, and takes one that has ended', async () => {
    const child = spawn('sleep', ['60']);
    const identity = await identityOf(child.pid);
    process.kill(identity.pid, 'SIGSTOP');

    await endProcess(identity);
    await endProcess(identity);

    expect(await isRunning(identity)).to.equal(false);
    expect(await identifyProcess(identity.pid)).to.equal(undefined);
    expect(await commandLineOf(identity.pid)).to.deep.equal([]);
  });

  it('counts a zombie as ended', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60']);
    try {
      const [output] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(output.toString());

      await eventually(async () => {
        const { state } = parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
        expect(state).to.equal('Z');
      });

      expect(await identifyProcess(pid)).to.equal(undefined);
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('never signals groups of processes or init', () => {
    const signalled: number[] = [];
    const kill = process.kill;
    process.kill = (pid) => {
      signalled.push(pid);
      return true;
    };
    try {
      for (const pid of [0, 1, -1, -4711, Number.NaN, 1.5]) sendKill(pid);
    } finally {
      process.kill = kill;
    }
    expect(signalled).to.deep.equal([]);
  });
});

async function identityOf(pid: number | undefined): Promise<ProcessIdentity> {
  const identity = await identifyProcess(pid ?? 0);
  if (!identity) throw new Error('the child does not run');
  return identity;
}
