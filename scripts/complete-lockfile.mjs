/**
 * `npm run lockfile`, after a change of dependencies. A registry mirror may lack
 * the packages for other platforms; npm then leaves them out of the lockfile,
 * and `npm ci` refuses it. This adds an entry for each, without checksum, which
 * no machine that Wrenn runs on installs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './run.mjs';

const PLATFORM = new RegExp(
  '-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)' +
    '-(arm64|armv7|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|wasm32|x64)' +
    '(?:-(musl|gnu))?',
);

/**
 * @typedef {Record<string, any>} Packages
 * @param {Packages} packages `packages` of a lockfile
 * @returns {{ path: string, name: string, version: string, parent: any }[]} optional packages without entry
 */
export function findMissing(packages) {
  return Object.entries(packages).flatMap(([path, parent]) =>
    Object.entries(parent.optionalDependencies ?? {})
      .filter(([name]) => !(`node_modules/${name}` in packages))
      .filter(([name]) => !(`${path}/node_modules/${name}` in packages))
      .map(([name, version]) => ({ path: `node_modules/${name}`, name, version, parent })),
  );
}

/** @param {string} name @param {string} version @param {any} parent */
function entryFor(name, version, parent) {
  const [, os, cpu, libc] = PLATFORM.exec(name) ?? [];
  if (!os || !/^\d+\.\d+\.\d+/.test(version)) {
    throw new Error(`${name}@${version} is not a package for one platform; add it by npm install`);
  }
  return {
    version,
    cpu: [cpu === 'armv7' ? 'arm' : cpu],
    ...(parent.dev ? { dev: true } : {}),
    ...(libc ? { libc: [libc === 'gnu' ? 'glibc' : libc] } : {}),
    optional: true,
    os: [os],
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const path = join(ROOT, 'package-lock.json');
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  for (const missing of findMissing(lock.packages)) {
    lock.packages[missing.path] = entryFor(missing.name, missing.version, missing.parent);
    console.log(`added ${missing.name}@${missing.version}`);
  }
  const [[root, project], ...others] = Object.entries(lock.packages);
  others.sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries([[root, project], ...others]);
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
}
