import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { eventually } from '../../test/support/eventually.js';
import { Daemon } from './daemon.js';

function startDaemon(script: string): { daemon: Daemon; lines: string[]; restarts: string[] } {
  const [lines, restarts]: [string[], string[]] = [[], []];
  const daemon = new Daemon({
    name: 'example',
    command: [process.execPath, '-e', script],
    environment: process.env,
    onLine: (line) => lines.push(line),
    onRestart: (message) => restarts.push(message),
  });
  daemon.start();
  return { daemon, lines, restarts };
}

function isAlive(pid: number): boolean {
  try {
    // A zombie still has a pid and is none the less dead.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('Daemon', () => {
  it('starts a daemon that was killed again', async () => {
    const { daemon, lines, restarts } = startDaemon(
      'console.log("up"); setInterval(() => {}, 1000)',
    );
    await eventually(() => expect(lines).to.have.length(1));
    daemon.markReady();
    const first = daemon.pid as number;
    process.kill(first, 'SIGKILL');

    await eventually(() => expect(lines).to.have.length(2));
    expect(daemon.pid).not.to.equal(first);
    expect(restarts).to.have.length(1);
    await daemon.stop();
  });

  it('gives a daemon up that ends again and again, with its last words', async () => {
    const { daemon } = startDaemon('console.error("no such device"); process.exit(3)');
    const error: Error = await daemon.gaveUp.catch((reason) => reason);
    expect(error.message).to.include('no such device').and.include('exit code 3');
    await daemon.stop();
  });

  it('is not started again after it was stopped', async () => {
    const { daemon, lines, restarts } = startDaemon(
      'console.log("up"); setInterval(() => {}, 1000)',
    );
    await eventually(() => expect(lines).to.have.length(1));
    const pid = daemon.pid as number;
    await daemon.stop();
    expect(isAlive(pid)).to.equal(false);
    expect(restarts).to.deep.equal([]);
  });

  it('dies with its supervisor, however that ends', async () => {
    const supervisor = spawn(
      process.execPath,
      [
        '--import=tsx',
        '--input-type=module',
        '-e',
        `import { Daemon } from './cli/up/daemon.ts';
         const daemon = new Daemon({
           name: 'example',
           command: ['sleep', '600'],
           environment: process.env,
           onLine() {},
           onRestart() {},
         });
         daemon.start();
         console.log(daemon.pid);`,
      ],
      { cwd: packageRoot(), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = await once(createInterface({ input: supervisor.stdout }), 'line');
    const pid = Number(line);
    // It is `setpriv` until it has asked for the signal and become the daemon.
    await eventually(() => expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).to.equal('sleep\n'));

    supervisor.kill('SIGKILL');
    await eventually(() => expect(isAlive(pid)).to.equal(false));
  });
});
