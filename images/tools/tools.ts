/**
 * The tools image, a read-only drive that every guest mounts at /wrenn: wrenn-init.sh with a static
 * busybox, and envd with its static helper and this machine's Node, its loader and its libraries.
 * Nothing in it needs the guest's distribution, and all guests share it in the host's page cache.
 *
 * lz4 reads fastest under emulation: a boot with zstd takes about a second longer, and one without
 * compression is no faster.
 */
import { copyFile, mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { readBusybox } from '../debian/busybox.js';
import type { PackageCache } from '../debian/package-cache.js';
import { runStep } from '../failure.js';
import type { Inputs, Recipe } from '../recipe.js';
import { bundleEnvd, compileEnvd, ENVD_SOURCES } from './envd-bundle.js';
import { buildGuestHelper, GUEST_HELPER_NAME } from './guest-helper.js';
import { sharedLibraries } from './shared-libraries.js';

const INIT_PATH = 'images/wrenn-init.sh';
const LOADER_PATH = 'images/tools/envd-loader.cjs';
const MOUNTS_PATHS = ['images/kernel.mounts', 'images/runtime.mounts'];
const SQUASHFS_OPTIONS = ['-comp', 'lz4', '-all-root', '-mkfs-time', '0', '-all-time', '0'];
const SQUASHFS_TIMEOUT_MS = 5 * 60_000;

export interface ToolsFacts extends Readonly<Record<string, string>> {
  nodeVersion: string;
  busyboxVersion: string;
}

/** @param nodePath the Node that guests run; this process's own as a rule. */
export async function toolsRecipe(
  packages: PackageCache,
  nodePath: string,
): Promise<Recipe<ToolsFacts>> {
  const [envd, helper] = await Promise.all([bundleEnvd(), buildGuestHelper()]);
  return {
    name: 'tools',
    suffix: '.squashfs',
    sources: [
      'images/tools/tools.ts',
      'images/tools/shared-libraries.ts',
      'images/tools/guest-helper.ts',
      ...ENVD_SOURCES,
      INIT_PATH,
      LOADER_PATH,
      ...MOUNTS_PATHS,
    ],
    inputs: {
      envd: envd.toString('latin1'),
      guestHelper: helper.sha256,
      ...(await identify(nodePath)),
    },
    async build(target, { directory, task }) {
      task.step('collecting Node and busybox');
      const busybox = await readBusybox(packages);
      await collectPrograms(directory, nodePath, busybox.content);
      await writeFile(join(directory, 'bin', GUEST_HELPER_NAME), helper.content, { mode: 0o755 });
      await collectScripts(directory);
      task.step('compiling envd');
      await collectEnvd(directory, envd, nodePath);
      task.step('compressing');
      await compress(directory, target, (done) => task.fraction(done));
      return { nodeVersion: process.version, busyboxVersion: busybox.version };
    },
  };
}

/** What tells one installed Node from another, without reading its hundred megabytes. */
async function identify(nodePath: string): Promise<Inputs> {
  const files = [await realpath(nodePath), ...(await sharedLibraries(nodePath))];
  const facts = await Promise.all(
    files.map(async (path) => {
      const { size, mtimeMs } = await stat(path);
      return `${path} ${size} ${mtimeMs}`;
    }),
  );
  return { nodeVersion: process.version, nodeFiles: facts.join('\n') };
}

async function collectPrograms(
  directory: string,
  nodePath: string,
  busybox: Buffer,
): Promise<void> {
  await mkdir(join(directory, 'bin'), { mode: 0o755 });
  await mkdir(join(directory, 'lib'), { mode: 0o755 });
  await writeFile(join(directory, 'bin', 'busybox'), busybox, { mode: 0o755 });
  await copyFile(nodePath, join(directory, 'bin', 'node'));
  for (const library of await sharedLibraries(nodePath)) {
    await copyFile(library, join(directory, 'lib', basename(library)));
  }
}

async function collectScripts(directory: string): Promise<void> {
  for (const path of [INIT_PATH, ...MOUNTS_PATHS]) {
    await copyFile(join(packageRoot(), path), join(directory, basename(path)));
  }
}

async function collectEnvd(directory: string, bundle: Buffer, nodePath: string): Promise<void> {
  const bundlePath = join(directory, 'envd.bundle.js');
  await copyFile(join(packageRoot(), LOADER_PATH), join(directory, 'envd.js'));
  await writeFile(bundlePath, bundle, { mode: 0o644 });
  await compileEnvd({
    nodePath,
    bundlePath,
    target: join(directory, 'envd.bundle.cache'),
    busyboxPath: join(directory, 'bin', 'busybox'),
    helperPath: join(directory, 'bin', GUEST_HELPER_NAME),
  });
}

async function compress(
  directory: string,
  target: string,
  onFraction: (fraction: number) => void,
): Promise<void> {
  const onOutput = (chunk: Buffer) => {
    const percent = [...chunk.toString().matchAll(/ (\d{1,3})%/g)].at(-1)?.[1];
    if (percent) onFraction(Number(percent) / 100);
  };
  const args = [directory, target, '-noappend', ...SQUASHFS_OPTIONS];
  const options = { timeoutMs: SQUASHFS_TIMEOUT_MS, onOutput };
  await runStep('compressing the tools image', 'mksquashfs', args, options);
}
