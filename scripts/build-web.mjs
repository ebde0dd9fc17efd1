/** Bundles the pages that the gateway serves into dist/web/. Everything they use is in there. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from './run.mjs';

const SWAGGER_UI = join(ROOT, 'node_modules', 'swagger-ui-dist');

/**
 * Each page has the folder of its name in web/, with `main.ts` and the files that
 * are copied as they are, by the names that they get.
 * @type {{ name: string, copied: Record<string, string> }[]}
 */
const PAGES = [
  {
    name: 'docs',
    copied: {
      'index.html': own('docs', 'index.html'),
      'main.css': own('docs', 'main.css'),
      'icon.png': join(SWAGGER_UI, 'favicon-32x32.png'),
      'swagger-ui-bundle.js': join(SWAGGER_UI, 'swagger-ui-bundle.js'),
      'swagger-ui.css': join(SWAGGER_UI, 'swagger-ui.css'),
    },
  },
  {
    name: 'test-page',
    copied: {
      'index.html': own('test-page', 'index.html'),
      'icon.svg': own('test-page', 'icon.svg'),
    },
  },
];

for (const { name, copied } of PAGES) {
  const folder = join(ROOT, 'dist', 'web', name);
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [own(name, 'main.ts')],
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'inline',
    logLevel: 'warning',
  });
  for (const [target, source] of Object.entries(copied)) copyFileSync(source, join(folder, target));
}

/** @param {string[]} parts */
function own(...parts) {
  return join(ROOT, 'web', ...parts);
}
