import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { ENVD_VERSION } from './version.js';

describe('ENVD_VERSION', () => {
  it('is that of the package', async () => {
    const content = await readFile(new URL('../package.json', import.meta.url), 'utf8');

    expect(ENVD_VERSION).to.equal((JSON.parse(content) as { version: string }).version);
  });
});
