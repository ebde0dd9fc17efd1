/**
 * The template `minimal`: a small Debian of the host's own release, put together from packages of
 * the host's own Debian mirror.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import type { PackageCache } from '../debian/package-cache.js';
import { carriedSettings, proxyVariables } from '../debian/settings.js';
import { type DebianSource, debianSources } from '../debian/sources.js';
import { requirement, runStep } from '../failure.js';
import type { ProgressTask } from '../progress.js';
import type { Facts, Recipe } from '../recipe.js';
import { makeExt4 } from './ext4.js';

const PACKAGES = [
  'bash',
  'ca-certificates',
  'coreutils',
  'curl',
  'git',
  'iproute2',
  'procps',
  'python3',
];
/** Size of the disk that a guest sees; about a tenth of it is in use. */
const DISK_MB = 2048;
const CUSTOMIZE_PATH = 'images/base/customize.sh';
const KEYRING_PATH = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Time stamp of what the build itself writes, in seconds since 1970: the start of 2026. */
const SOURCE_DATE_EPOCH = 1_767_225_600;
const BOOTSTRAP_TIMEOUT_MS = 20 * 60_000;
/** How mmdebstrap says what takes time, such as `I: installing essential packages...`. */
const BOOTSTRAP_STEP =
  /^I: ((?:running apt|downloading|extracting|installing|cleaning)[^\n]*?)\.{0,3}$/gm;
/** Files of packages that nobody reads in a sandbox; licences stay. */
const LEFT_OUT = [
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/man/*',
];

/** @param codename release of Debian that the template has, such as `bookworm`. */
export function minimalRecipe(packages: PackageCache, codename: string): Recipe<Facts> {
  return {
    name: 'minimal',
    suffix: '.ext4',
    sources: ['images/base/base.ts', 'images/base/ext4.ts', CUSTOMIZE_PATH],
    inputs: { codename },
    async build(target, { directory, task }) {
      task.step('reading the sources of apt');
      await packages.ready();
      const sourcesPath = join(directory, 'sources.list');
      await writeFile(sourcesPath, formatSources(await debianSources(codename)));
      const root = join(directory, 'root');
      await bootstrap(root, codename, sourcesPath, task);
      task.step('writing the disk');
      await makeExt4(root, target, DISK_MB);
      return { codename };
    },
  };
}

/** Codename of the host's Debian. */
export async function hostCodename(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8');
  const codename = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(text)?.[1];
  if (!codename) throw requirement('/etc/os-release names no release of Debian');
  return codename;
}

function formatSources(sources: readonly DebianSource[]): string {
  return sources
    .map(
      ({ uri, release, components }) =>
        `deb [signed-by=${KEYRING_PATH}] ${uri} ${release} ${components.join(' ')}\n`,
    )
    .join('');
}

async function bootstrap(
  root: string,
  codename: string,
  sourcesPath: string,
  task: ProgressTask,
): Promise<void> {
  const aptOptions = ['APT::Install-Recommends "false"', ...(await carriedSettings())];
  const onOutput = (chunk: Buffer) => {
    const step = [...chunk.toString().matchAll(BOOTSTRAP_STEP)].at(-1)?.[1];
    if (step) task.step(step);
  };
  await runStep(
    'putting the base image together',
    'env',
    [
      ...['LC_ALL=C', `SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`, ...(await proxyVariables())],
      ...['mmdebstrap', '--mode=root', '--variant=minbase', '--format=directory'],
      `--include=${PACKAGES.join(',')}`,
      ...aptOptions.map((option) => `--aptopt=${option}`),
      ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
      `--customize-hook=${join(packageRoot(), CUSTOMIZE_PATH)}`,
      ...[codename, root, sourcesPath],
    ],
    { timeoutMs: BOOTSTRAP_TIMEOUT_MS, onOutput },
  );
}
