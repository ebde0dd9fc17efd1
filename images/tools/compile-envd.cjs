/**
 * Writes the compiled form of the guest daemon's bundle: runs it until it listens, since only
 * functions that have run are in the form, and the start of a guest runs the same ones.
 *
 *     node compile-envd.cjs BUNDLE TARGET [ARGUMENT OF THE DAEMON]…
 *
 * To be run with the very Node that guests run.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const Module = require('node:module');
const { Script } = require('node:vm');

const LISTENS = /\blistening\b/;

const [bundlePath, targetPath, ...daemonArguments] = process.argv.slice(2);
const script = new Script(Module.wrap(readFileSync(bundlePath, 'utf8')), { filename: bundlePath });

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => {
  if (LISTENS.test(String(text))) setImmediate(finish);
  return write(text, ...rest);
};
process.argv = [process.execPath, bundlePath, ...daemonArguments];
script.runInThisContext()({}, require, module, bundlePath, __dirname);

function finish() {
  writeFileSync(targetPath, script.createCachedData());
  process.exit(0);
}
