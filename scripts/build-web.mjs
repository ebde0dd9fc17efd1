/** Bundles the pages that the gateway serves into dist/web/. Everything they use is in there. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './run.mjs';

const TEST_PAGE = join(ROOT, 'web', 'test-page');
const TEST_PAGE_OUT = join(ROOT, 'dist', 'web', 'test-page');

await build({
  entryPoints: [join(TEST_PAGE, 'main.ts')],
  outdir: TEST_PAGE_OUT,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'inline',
  logLevel: 'warning',
});
mkdirSync(TEST_PAGE_OUT, { recursive: true });
for (const name of ['index.html', 'icon.svg']) {
  copyFileSync(join(TEST_PAGE, name), join(TEST_PAGE_OUT, name));
}
