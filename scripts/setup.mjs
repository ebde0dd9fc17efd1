/**
 * Everything between a clean clone and a command that runs: npm packages,
 * build, Debian packages, images. Each step is skipped when it is current.
 *   node scripts/setup.mjs            all of it
 *   node scripts/setup.mjs build      npm packages and build only
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  findBuildProblems,
  findHostProblems,
  findNodeProblems,
  findPortProblems,
  readFacts,
} from './preflight.mjs';
import { formatDuration, ROOT, runStreaming } from './run.mjs';

/** Thrown for what the user must mend; the message says how. */
export class SetupError extends Error {}

/**
 * @typedef {object} SetupOptions
 * @property {boolean} [listens] whether the default addresses must be free
 * @property {boolean} [hostOptional] goes on without packages and images on a machine that cannot run sandboxes
 * @property {boolean} [buildOnly]
 * @param {SetupOptions} [options]
 * @returns {Promise<string[]>} why this machine runs no sandboxes; empty when it does
 */
export async function setUp(options = {}) {
  refuse(findNodeProblems(process.versions.node));
  const facts = await readFacts();
  refuse(findBuildProblems(facts));
  const hostProblems = options.buildOnly ? [] : findHostProblems(facts);
  if (!options.hostOptional) refuse(hostProblems);
  if (options.listens) refuse(findPortProblems(facts));

  await installNpmPackages();
  await step('TypeScript build', 'node_modules/.bin/tsc', ['-b']);
  await step('web pages', 'node', ['scripts/build-web.mjs']);
  if (!options.buildOnly && hostProblems.length === 0) {
    hostProblems.push(...(await prepareHost(options.hostOptional ?? false)));
  }
  await step('C programs', 'make', ['--silent', '-C', 'native']);
  return hostProblems;
}

/**
 * Installs Debian packages and builds the images; what is there already is left alone.
 * @param {boolean} optional
 * @returns {Promise<string[]>} why it failed, when it is optional
 */
async function prepareHost(optional) {
  try {
    await step('Debian packages and images', 'node', ['dist/images/main.js']);
    return [];
  } catch (error) {
    if (!optional || !(error instanceof SetupError)) throw error;
    return [error.message];
  }
}

/** @param {string[]} problems */
function refuse(problems) {
  if (problems.length > 0) throw new SetupError(problems.join('\n'));
}

async function installNpmPackages() {
  if (npmPackagesAreCurrent()) {
    console.log('✔ npm packages: current');
    return;
  }
  await step('npm packages', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
}

/** Compares the lockfile with the one that npm keeps of what it has installed. */
function npmPackagesAreCurrent() {
  const installedPath = join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const wanted = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    // An optional package for another platform is not installed.
    if (!found) return entry.optional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

/** @param {string} name @param {string} command @param {string[]} args */
async function step(name, command, args) {
  console.log(`… ${name}`);
  const startedAt = performance.now();
  const { exitCode } = await runStreaming(command, args).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    throw new SetupError(`There is no ${command}: run apt-get install ${command}.`);
  });
  if (exitCode !== 0) {
    throw new SetupError(`The step "${name}" ended with ${exitCode}; its last lines say why.`);
  }
  console.log(`✔ ${name} (${formatDuration(performance.now() - startedAt)})`);
}

/**
 * Runs the main program of a script; what the user must mend is printed without a stack.
 * @param {() => Promise<number>} main returns the exit code
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runMain(async () => {
    await setUp({ buildOnly: process.argv[2] === 'build' });
    return 0;
  });
}
