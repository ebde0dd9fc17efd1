/** Output of real programs, as it is drained. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import type { Child, Exit } from './child.js';
import { drainOutput } from './drain-output.js';
import { Output } from './output.js';

/** A promise that counts who waits for it. */
class CountedPromise<T> extends Promise<T> {
  static waiting = 0;

  // biome-ignore lint/suspicious/noThenProperty: what is counted
  override then<A = T, B = never>(
    onResolve?: ((value: T) => A | PromiseLike<A>) | null,
    onReject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    CountedPromise.waiting += 1;
    return super.then(onResolve, onReject);
  }
}

describe('the output of a program', () => {
  it('costs nothing that lasts for each time it is waited for', async () => {
    const { child, output } = start('for i in $(seq 100); do echo $i; sleep 0.005; done');
    CountedPromise.waiting = 0;

    let pieces = 0;
    for await (const _ of drainOutput(child, output)) pieces += 1;

    expect(pieces).to.be.greaterThan(20);
    expect(CountedPromise.waiting).to.be.at.most(2);
  });

  it('ends with the program while a child of it holds the pipe', async () => {
    const { child, output } = start('sleep 60 & echo $!');
    const printed: Buffer[] = [];

    for await (const { data } of drainOutput(child, output)) printed.push(data);

    process.kill(Number(Buffer.concat(printed).toString()), 'SIGKILL');
  });
});

function start(script: string): { child: Child; output: Output<'stdout'> } {
  const spawned = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = new CountedPromise<Exit>((resolve) => {
    spawned.once('exit', (exitCode) => {
      resolve({ exitCode: exitCode ?? 0, signal: '', endedAt: performance.now() });
    });
  });
  const child: Child = {
    pid: spawned.pid ?? 0,
    exited,
    signal: (number) => void spawned.kill(number),
    kill: () => void spawned.kill('SIGKILL'),
  };
  return { child, output: new Output({ stdout: spawned.stdout as Socket }) };
}
