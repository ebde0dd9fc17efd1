/**
 * Style that no linter knows, over all files that git tracks: unfinished-work
 * words, registry addresses, one title a document, file names, files that
 * nothing mentions, and length.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findMissing } from './complete-lockfile.mjs';
import { ROOT } from './run.mjs';

const LINES_MAX = 400;
const NOT_OURS =
  /^(gen|third_party)\/|_pb2(_grpc)?\.pyi?$|\.pb\.go$|(^|\/)(package-lock\.json|go\.sum)$|^LICENSE$|\.binpb$/;
const SOURCE = /\.(ts|mjs|js|sh|c|h|py|go)$/;
/** What is dead when no other file names it. */
const NAMED = /\.(ts|mjs|sh|c)$/;
/** Found by their place or name, not by being mentioned. */
const ENTRY =
  /(\.test\.(ts|mjs)|(^|\/)(main|index)\.ts|^test\/[^/]+\/.*\.ts|^eslint\.config\.js|^migrations\/.*|^native\/addon\/src\/.*\.c)$/;
/** Made by other tools with names of their own. */
const FREE_NAMES = /(^|\/)(README|CHANGELOG|CONTRIBUTING|ARCHITECTURE|LICENSE|Makefile|__init__)\b/;

// Written in halves so that this file passes its own rule.
const UNFINISHED = new RegExp(
  `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b|\\b(${[
    'for ' + 'now',
    'not ' + 'implemented',
    'place' + 'holder',
  ].join('|')})\\b`,
);
const REGISTRY_HOST = new RegExp(
  `\\b(${['registry', 'npmjs'].join('\\.')}|${['pypi', 'org'].join('\\.')}|${['python', 'hosted'].join('')}|${[
    'proxy',
    'golang',
  ].join('\\.')}|${['deb', 'debian', 'org'].join('\\.')}|${['maven', 'org'].join('\\.')})`,
);

/**
 * @param {Map<string, string>} files path from the root → content
 * @returns {string[]} one line for each fault, with its place
 */
export function findFaults(files) {
  return [...files].flatMap(([path, content]) => [
    ...findWords(path, content),
    ...findTitleFaults(path, content),
    ...findNameFaults(path),
    ...findLengthFaults(path, content),
    ...findDead(path, files),
  ]);
}

/** @param {string} path @param {string} content */
function findWords(path, content) {
  const faults = [];
  for (const [index, line] of content.split('\n').entries()) {
    const unfinished = UNFINISHED.exec(line);
    if (unfinished) faults.push(`${path}:${index + 1}: unfinished work: "${unfinished[0]}"`);
    const host = REGISTRY_HOST.exec(line);
    if (host) faults.push(`${path}:${index + 1}: names a package registry: "${host[0]}"`);
  }
  return faults;
}

/** @param {string} path @param {string} content */
function findTitleFaults(path, content) {
  if (!path.endsWith('.md')) return [];
  const prose = content.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  const titles = prose.match(/^# \S.*$/gm) ?? [];
  if (titles.length === 1 && prose.startsWith('# ')) return [];
  return [`${path}: needs one "# Title", on its first line; has ${titles.length}`];
}

/** @param {string} path */
function findNameFaults(path) {
  if (/\.log$|(^|\/)\.DS_Store$/.test(path))
    return [`${path}: does not belong into the repository`];
  if (FREE_NAMES.test(path) || /\.(py|go)$/.test(path) || path.startsWith('proto/')) return [];
  return /^[a-z0-9./-]+$/.test(path) ? [] : [`${path}: file names are kebab-case`];
}

/** @param {string} path @param {string} content */
function findLengthFaults(path, content) {
  if (!SOURCE.test(path)) return [];
  const lines = content.split('\n').length - 1;
  return lines > LINES_MAX ? [`${path}: has ${lines} lines, more than ${LINES_MAX}`] : [];
}

/** @param {string} path @param {Map<string, string>} files */
function findDead(path, files) {
  if (!NAMED.test(path) || ENTRY.test(path)) return [];
  const name = basename(path).replace(/\.(ts|c)$/, '');
  const mention = new RegExp(
    `(^|[/'"\`\\s(])${name.replaceAll('.', '\\.')}(\\.js|\\.ts|\\.c)?\\b`,
    'm',
  );
  for (const [other, content] of files) {
    if (other !== path && !other.endsWith('.md') && mention.test(content)) return [];
  }
  return [`${path}: nothing uses it`];
}

function trackedFiles() {
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' });
  const paths = listed.split('\0').filter((path) => path && !NOT_OURS.test(path));
  /** @type {Map<string, string>} */
  const files = new Map();
  for (const path of paths) {
    const absolute = join(ROOT, path);
    if (existsSync(absolute)) files.set(path, readFileSync(absolute, 'utf8'));
  }
  return files;
}

function lockfileFaults() {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const faults = findMissing(packages).map(
    ({ name }) => `${name} is not in it; run npm run lockfile`,
  );
  if (Object.values(packages).some(({ resolved }) => resolved)) {
    faults.push('it holds registry addresses, which .npmrc leaves out; run npm run lockfile');
  }
  return faults.map((fault) => `package-lock.json: ${fault}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const faults = [...findFaults(trackedFiles()), ...lockfileFaults()];
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
