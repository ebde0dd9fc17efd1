/**
 * `npm run pack:client`: puts the TypeScript client with the stubs that it
 * imports into dist/packages/client, as a package that stands alone.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ROOT } from './run.mjs';

const target = resolve(ROOT, process.argv[2] ?? 'dist/packages/client');
const source = join(ROOT, 'clients/typescript');

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const isPackaged = (/** @type {string} */ path) =>
  !/\.map$|\.test\.|gen\/ts\/wrenn\/(envd|hostagent)$/.test(path);
for (const folder of ['clients/typescript', 'gen/ts']) {
  cpSync(join(ROOT, 'dist', folder), join(target, folder), {
    recursive: true,
    filter: isPackaged,
  });
}
cpSync(join(source, 'README.md'), join(target, 'README.md'));
cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));

const { private: _, ...manifest } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
const entry = {
  types: './clients/typescript/index.d.ts',
  default: './clients/typescript/index.js',
};
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify({ ...manifest, exports: { '.': entry } }, null, 2)}\n`,
);
