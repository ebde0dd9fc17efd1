import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadJwtSecret } from './jwt-secret.js';

describe('loadJwtSecret', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wrenn-secret-'));
    path = join(directory, 'state', 'jwt-secret');
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('makes one secret that only its owner can read, and keeps it', async () => {
    const first = await loadJwtSecret(undefined, path);
    const second = await loadJwtSecret(undefined, path);
    expect(second.equals(first)).to.equal(true);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
  });

  it('lets all of twenty that start at once use the same secret', async () => {
    const keys = await Promise.all(
      Array.from({ length: 20 }, () => loadJwtSecret(undefined, path)),
    );
    expect(keys.every((key) => key.equals(keys[0] as (typeof keys)[0]))).to.equal(true);
    expect((await readFile(path, 'utf8')).length).to.be.greaterThan(32);
  });

  it('prefers the operator’s secret and writes no file', async () => {
    const key = await loadJwtSecret('x'.repeat(32), path);
    expect(key.export().toString()).to.equal('x'.repeat(32));
    expect(await stat(path).catch(() => undefined)).to.equal(undefined);
  });

  it('refuses a secret that is too short, given or stored', async () => {
    expect(await reasonOf(loadJwtSecret('x'.repeat(31), path))).to.equal('INVALID_REQUEST');
    const short = join(directory, 'short');
    await writeFile(short, 'x'.repeat(31));
    expect(await reasonOf(loadJwtSecret(undefined, short))).to.equal('INVALID_REQUEST');
  });
});

async function reasonOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: { reason?: string }) => error.reason,
  );
}
