import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Steps } from './steps.js';

async function printed(use: (steps: Steps) => Promise<void>): Promise<string[]> {
  const output = new PassThrough();
  await use(new Steps(output));
  output.end();
  return (await text(output)).split('\n');
}

describe('Steps', () => {
  it('prints each step with its time, also one that fails', async () => {
    const lines = await printed(async (steps) => {
      expect(await steps.run('good', async () => 42)).to.equal(42);
      const failed = steps.run('bad', async () => {
        throw new Error('no');
      });
      expect(await failed.catch(() => 'failed')).to.equal('failed');
    });
    expect(lines[0]).to.match(/^ {2}✔ good +\d+\.\d\d s$/);
    expect(lines[1]).to.match(/^ {2}✖ bad +\d+\.\d\d s$/);
  });

  it('sums up the highlights alone, and of those what succeeded', async () => {
    const lines = await printed(async (steps) => {
      await steps.run('one', async () => undefined, 'first');
      await steps.run('two', async () => undefined);
      await steps.run('three', async () => Promise.reject(), 'third').catch(() => undefined);
      steps.summarize();
    });
    expect(lines.slice(4)).to.have.length(3);
    expect(lines[5]).to.match(/^ {2}first +\d+\.\d\d s$/);
  });

  it('rewrites one line on a terminal while a step goes on', async () => {
    const output = Object.assign(new PassThrough(), { isTTY: true });
    await new Steps(output).run('slow', async () => undefined);
    output.end();
    expect(await text(output)).to.match(/^\r {2}… slow.*\r {2}✔ slow.*\n$/);
  });
});
