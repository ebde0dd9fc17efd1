import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { oncePerBoot } from './boot-cache.js';

describe('results kept for a boot', () => {
  let directory: TemporaryDirectory;
  let path: string;
  let measured: number;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    path = join(directory.path, 'state', 'kept.json');
    measured = 0;
  });

  afterEach(() => directory.remove());

  function once(subject: string): Promise<number> {
    const isNumber = (value: unknown): value is number => typeof value === 'number';
    return oncePerBoot(path, subject, isNumber, async () => {
      measured += 1;
      return measured;
    });
  }

  it('are measured once', async () => {
    expect([await once('a'), await once('a')]).to.deep.equal([1, 1]);
  });

  it('are measured again for another subject', async () => {
    expect([await once('a'), await once('b')]).to.deep.equal([1, 2]);
  });

  it('are measured again after another boot', async () => {
    await once('a');
    const kept = JSON.parse(await readFile(path, 'utf8')) as { bootId: string };
    await writeFile(path, JSON.stringify({ ...kept, bootId: 'another' }));

    expect(await once('a')).to.equal(2);
  });

  it('are measured again when the file holds something else', async () => {
    await once('a');
    const kept = JSON.parse(await readFile(path, 'utf8')) as object;
    const noNumber = JSON.stringify({ ...kept, result: 'no number' });
    for (const content of ['', '}{', 'null', '[]', '7', noNumber]) {
      await writeFile(path, content);
      const before = measured;

      expect(await once('a')).to.equal(before + 1);
    }
  });

  it('are not kept when the measurement fails', async () => {
    const isText = (value: unknown): value is string => typeof value === 'string';
    const error = new Error('no result');

    const thrown = await oncePerBoot(path, 'a', isText, () => Promise.reject(error)).catch(
      (reason: unknown) => reason,
    );

    expect(thrown).to.equal(error);
    expect(await once('a')).to.equal(1);
  });
});
