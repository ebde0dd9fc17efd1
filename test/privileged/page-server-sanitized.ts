/**
 * Puts the addon that was built with a sanitizer in the place of the usual one,
 * before tests are loaded: `node --import` this, with the sanitizer's library
 * in LD_PRELOAD and the path of the addon in WRENN_TEST_ADDON.
 */
import Module, { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';

const require = createRequire(import.meta.url);
const usual = join(packageRoot(), 'native', 'addon', 'build', 'wrenn.node');
const path = process.env.WRENN_TEST_ADDON;
if (path === undefined) throw new Error('WRENN_TEST_ADDON is not set');

const standIn = new Module(usual);
standIn.exports = require(path) as unknown;
standIn.loaded = true;
require.cache[usual] = standIn;

// Compilers and VMMs that tests start do without it.
delete process.env.LD_PRELOAD;
