import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';

describe('the package of the TypeScript client', () => {
  it('stands alone: it loads without the rest of the project', async () => {
    const target = join(packageRoot(), 'dist/packages/client');
    execFileSync('node', ['scripts/pack-client.mjs', target], { cwd: packageRoot() });

    const manifest = JSON.parse(await readFile(join(target, 'package.json'), 'utf8'));
    const { WrennClient } = await import(join(target, manifest.exports['.'].default));
    using client = new WrennClient({ address: '127.0.0.1:1' });
    expect(client.sandboxes.create).to.be.a('function');
    expect(client.snapshots.create).to.be.a('function');
    expect(manifest).not.to.have.property('private');
  });
});
