/**
 * Looks at the machine before anything is installed, and says in plain
 * sentences what is missing and what to do. No dependencies: it runs first in
 * a clean clone.
 */
import { execFileSync } from 'node:child_process';
// The default export, since a named one that an old Node lacks would end this before it can say so.
import fs from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { ROOT } from './run.mjs';

const NODE_MIN = [20, 19];
const DEBIAN_MIN = 12;
const GIB = 1024 ** 3;
/** Room for images with the files that building them needs. */
const DISK_BYTES_MIN_FIRST = 5 * GIB;
/** Room for disks of sandboxes when the images are there. */
const DISK_BYTES_MIN = 1 * GIB;
/** Room for node_modules and the build. */
const PROJECT_BYTES_MIN = 1 * GIB;

const DEFAULT_STATE_FOLDER = '/var/lib/wrenn';
const DEFAULT_ADDRESSES = {
  WRENN_HTTP_ADDRESS: '127.0.0.1:7070',
  WRENN_GRPC_ADDRESS: '127.0.0.1:7071',
};

/**
 * @typedef {object} Facts
 * @property {string} platform
 * @property {string} arch
 * @property {boolean} wsl
 * @property {{ id: string, version: number | undefined, name: string }} distribution
 * @property {boolean} aptGet
 * @property {boolean} compiler
 * @property {boolean} root
 * @property {boolean} namespaces whether this process may create a network namespace
 * @property {'usable' | 'missing' | 'refused'} tun
 * @property {{ folder: string, setting: string, freeBytes: number, neededBytes: number }[]} disks
 * @property {{ address: string, setting: string }[]} busy addresses in use that `start` needs
 */

/**
 * To be asked before anything else, which an old Node might not run.
 * @param {string} version
 * @returns {string[]} one plain sentence, or none
 */
export function findNodeProblems(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return [];
  return [
    `Wrenn needs Node ${NODE_MIN.join('.')} or newer and this is ${version}: install a newer Node.`,
  ];
}

/**
 * What keeps Wrenn from being built and tested at all.
 * @param {Facts} facts
 * @returns {string[]} one plain sentence each
 */
export function findBuildProblems(facts) {
  const problems = [];
  if (facts.platform !== 'linux') {
    const name = facts.platform === 'darwin' ? 'macOS' : facts.platform;
    problems.push(
      `Wrenn needs Linux and this is ${name}: run it in a virtual machine with Debian 12 or 13 on x86-64.`,
    );
    return problems;
  }
  if (facts.arch !== 'x64') {
    problems.push(
      `Wrenn needs an x86-64 machine and this is ${facts.arch}: use an x86-64 machine or virtual machine.`,
    );
  }
  if (!facts.compiler) {
    problems.push('There is no C compiler: run apt-get install build-essential.');
  }
  return problems;
}

/**
 * What keeps this machine from running sandboxes.
 * @param {Facts} facts
 * @returns {string[]} one plain sentence each
 */
export function findHostProblems(facts) {
  if (facts.platform !== 'linux') return [];
  const problems = [];
  const { id, version, name } = facts.distribution;
  if (facts.wsl) {
    problems.push(
      'WSL is not supported, since its kernel is not the distribution’s: use a virtual machine with Debian 12 or 13.',
    );
  } else if (id !== 'debian' || (version !== undefined && version < DEBIAN_MIN) || !facts.aptGet) {
    problems.push(
      `Wrenn takes kernel and packages from Debian 12 or 13 with apt and this is ${name}: use such a machine, virtual machine or container.`,
    );
  }
  if (!facts.root) {
    problems.push(
      'Wrenn makes network namespaces and VMs and so must run as root: run the command again as root, for example with sudo.',
    );
  } else if (!facts.namespaces) {
    problems.push(
      'This machine does not let root create a network namespace: start the container with --privileged.',
    );
  }
  // For a user who is not root it is refused anyway.
  if (facts.tun === 'missing' || (facts.tun === 'refused' && facts.root)) {
    problems.push(
      facts.tun === 'missing'
        ? '/dev/net/tun is missing, so sandboxes get no network: run modprobe tun, or start the container with --device /dev/net/tun.'
        : '/dev/net/tun cannot be opened, so sandboxes get no network: start the container with --device /dev/net/tun.',
    );
  }
  for (const { folder, setting, freeBytes, neededBytes } of facts.disks) {
    if (freeBytes >= neededBytes) continue;
    problems.push(
      `The disk of ${folder} has ${gib(freeBytes)} GiB free and ${gib(neededBytes)} GiB are needed: free some space${setting ? `, or set ${setting} to a folder on a larger disk` : ''}.`,
    );
  }
  return problems;
}

/**
 * What keeps `npm start` from listening.
 * @param {Facts} facts
 * @returns {string[]} one plain sentence each
 */
export function findPortProblems(facts) {
  return facts.busy.map(
    ({ address, setting }) =>
      `The address ${address} is in use: stop the program that has it (./bin/wrenn down if it is Wrenn), or set ${setting} to another address.`,
  );
}

/** Reads everything about this machine; nothing is changed. @returns {Promise<Facts>} */
export async function readFacts() {
  if (fs.existsSync(join(ROOT, '.env'))) process.loadEnvFile(join(ROOT, '.env'));
  return {
    platform: process.platform,
    arch: process.arch,
    wsl: /microsoft/i.test(read('/proc/sys/kernel/osrelease')),
    distribution: readDistribution(),
    aptGet: succeeds('apt-get', ['--version']),
    compiler: succeeds('cc', ['--version']),
    root: process.getuid?.() === 0,
    namespaces: succeeds('unshare', ['--net', 'true']),
    tun: readTun(),
    disks: readDisks(),
    busy: await readBusyAddresses(),
  };
}

function readDistribution() {
  const text = read('/etc/os-release');
  const field = (/** @type {string} */ name) =>
    new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1];
  const version = Number.parseInt(field('VERSION_ID') ?? '', 10);
  return {
    id: field('ID') ?? 'unknown',
    // Debian testing has no number yet.
    version: Number.isNaN(version) ? undefined : version,
    name: field('PRETTY_NAME') ?? 'another system',
  };
}

/** @returns {Facts['tun']} */
function readTun() {
  if (!fs.existsSync('/dev/net/tun')) return 'missing';
  try {
    fs.closeSync(fs.openSync('/dev/net/tun', 'r+'));
    return 'usable';
  } catch {
    return 'refused';
  }
}

function readDisks() {
  const state = process.env.WRENN_STATE_DIR || DEFAULT_STATE_FOLDER;
  const images = process.env.WRENN_IMAGES_DIR || join(DEFAULT_STATE_FOLDER, 'images');
  const first = !fs.existsSync(join(images, 'manifest.json'));
  return [
    disk(images, 'WRENN_IMAGES_DIR', first ? DISK_BYTES_MIN_FIRST : 0),
    disk(state, 'WRENN_STATE_DIR', DISK_BYTES_MIN),
    disk(ROOT, '', fs.existsSync(join(ROOT, 'node_modules')) ? 0 : PROJECT_BYTES_MIN),
  ];
}

/** @param {string} folder @param {string} setting @param {number} neededBytes */
function disk(folder, setting, neededBytes) {
  let existing = folder;
  while (!fs.existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = fs.statfsSync(existing);
  return { folder, setting, freeBytes: bavail * bsize, neededBytes };
}

async function readBusyAddresses() {
  const busy = [];
  for (const [setting, fallback] of Object.entries(DEFAULT_ADDRESSES)) {
    const address = process.env[setting] || fallback;
    if (await isBusy(address)) busy.push({ address, setting });
  }
  return busy;
}

/** @param {string} address @returns {Promise<boolean>} */
function isBusy(address) {
  const [, host, port] = /^\[?([^\]]*)\]?:(\d+)$/.exec(address) ?? [];
  // The daemon that reads it says what is wrong with an address.
  if (port === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      resolve(/** @type {NodeJS.ErrnoException} */ (error).code === 'EADDRINUSE');
    });
    server.listen({ host, port: Number(port) }, () => server.close(() => resolve(false)));
  });
}

/** @param {string} path */
function read(path) {
  return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '';
}

/** @param {string} command @param {string[]} args */
function succeeds(command, args) {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** @param {number} bytes */
function gib(bytes) {
  return (bytes / GIB).toFixed(1);
}
