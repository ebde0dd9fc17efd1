/**
 * envd.js of the tools image: runs the bundled daemon with the compiled form of what its start
 * needs, which saves most of the compiling on every boot. A Node that the compiled form does not
 * fit compiles from the source, as if there were none.
 */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { Script } = require('node:vm');

const bundlePath = `${__dirname}/envd.bundle.js`;
const script = new Script(Module.wrap(readFileSync(bundlePath, 'utf8')), {
  filename: bundlePath,
  cachedData: readFileSync(`${__dirname}/envd.bundle.cache`),
});
script.runInThisContext()(exports, require, module, bundlePath, __dirname);
