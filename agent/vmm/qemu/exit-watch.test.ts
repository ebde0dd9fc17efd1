import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { identifyProcess } from '../launch/process-table.js';
import { ExitWatch } from './exit-watch.js';

describe('exit watch', () => {
  it('notices the end of a process by itself', async () => {
    const child = spawn('sleep', ['60']);
    const identity = await identifyProcess(child.pid ?? 0);
    if (!identity) throw new Error('the child does not run');
    const watch = new ExitWatch(identity);

    child.kill('SIGKILL');

    expect(await watch.ended).not.to.equal('');
  });

  it('looks at once when it is told of a sign', async () => {
    const watch = new ExitWatch({ pid: process.pid, startTimeTicks: '1' });

    await watch.check();

    expect(await watch.ended).not.to.equal('');
  });

  it('says nothing of a process that runs', async () => {
    const identity = await identifyProcess(process.pid);
    if (!identity) throw new Error('this process does not run');
    const watch = new ExitWatch(identity);

    await watch.check();
    watch.stop();

    const first = await Promise.race([watch.ended, Promise.resolve('still running')]);
    expect(first).to.equal('still running');
  });
});
