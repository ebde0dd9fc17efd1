import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../test/support/temporary-directory.js';
import { cacheKey } from './cache-key.js';

describe('cache key of an image', () => {
  it('stays the same for the same sources and inputs in any order', async () => {
    await using root = await sourceFolder({ 'a.ts': 'one', 'b.sh': 'two' });
    const key = await cacheKey(root.path, ['a.ts', 'b.sh'], { node: 'v20', suite: 'bookworm' });
    const again = await cacheKey(root.path, ['b.sh', 'a.ts'], { suite: 'bookworm', node: 'v20' });
    expect(again).to.equal(key);
  });

  it('changes with the content of a source', async () => {
    await using root = await sourceFolder({ 'a.ts': 'one' });
    await using changed = await sourceFolder({ 'a.ts': 'other' });
    expect(await cacheKey(root.path, ['a.ts'], {})).not.to.equal(
      await cacheKey(changed.path, ['a.ts'], {}),
    );
  });

  it('changes with an input', async () => {
    expect(await cacheKey('/', [], { node: 'v20' })).not.to.equal(
      await cacheKey('/', [], { node: 'v22' }),
    );
  });

  it('does not take the end of one input for the start of the next', async () => {
    expect(await cacheKey('/', [], { a: 'xinput b', b: '' })).not.to.equal(
      await cacheKey('/', [], { a: 'x', b: 'input b' }),
    );
    expect(await cacheKey('/', [], { a: '1', b: '23' })).not.to.equal(
      await cacheKey('/', [], { a: '12', b: '3' }),
    );
  });
});

async function sourceFolder(files: Record<string, string>) {
  const root = await temporaryDirectory();
  await mkdir(root.path, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(root.path, name), content);
  }
  return root;
}
