/**
 * The initial RAM disk: a static busybox, the drivers of the virtual devices and init.sh. It stays
 * uncompressed, because under emulation unpacking costs more than the larger file.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { readBusybox } from '../debian/busybox.js';
import type { PackageCache } from '../debian/package-cache.js';
import { decompress } from '../kernel/decompress.js';
import { type KernelFacts, kernelModules } from '../kernel/kernel.js';
import { loadOrder, parseModuleIndex } from '../kernel/module-order.js';
import type { Facts, Recipe } from '../recipe.js';
import { type ArchiveEntry, writeArchive } from './archive.js';

/** What a guest needs before its root disk is there; what a kernel has built in is left out. */
const MODULES = ['virtio_mmio', 'virtio_blk', 'virtio_net', 'virtio_rng', 'ext4', 'squashfs'];
const EMPTY_FOLDERS = ['dev', 'proc', 'sys', 'newroot'];
const INIT_PATH = 'images/initrd/init.sh';
const MOUNTS_PATH = 'images/kernel.mounts';

interface Module {
  name: string;
  content: Buffer;
}

export function initrdRecipe(packages: PackageCache, kernel: KernelFacts): Recipe<Facts> {
  return {
    name: 'initrd',
    suffix: '.cpio',
    sources: [
      'images/initrd/initrd.ts',
      'images/initrd/archive.ts',
      'images/kernel/module-order.ts',
      INIT_PATH,
      MOUNTS_PATH,
    ],
    inputs: { ...kernel },
    async build(target, { directory, task }) {
      task.step('collecting drivers');
      const busybox = await readBusybox(packages);
      const modules = await collectModules(await kernelModules(packages, kernel), directory);
      task.step('writing the archive');
      await writeFile(target, writeArchive(await listEntries(busybox.content, modules)));
      return { busyboxVersion: busybox.version };
    },
  };
}

/** The modules in the order of loading, decompressed. */
async function collectModules(modulesDirectory: string, workDirectory: string): Promise<Module[]> {
  const index = parseModuleIndex(
    await readFile(join(modulesDirectory, 'modules.dep'), 'utf8'),
    await readFile(join(modulesDirectory, 'modules.builtin'), 'utf8'),
  );
  return await Promise.all(
    loadOrder(MODULES, index).map(async (path) => ({
      name: basename(path).replace(/\.ko\..*$/, '.ko'),
      content: await decompress(
        `unpacking the module ${path}`,
        await readFile(join(modulesDirectory, path)),
        workDirectory,
      ),
    })),
  );
}

async function listEntries(busybox: Buffer, modules: readonly Module[]): Promise<ArchiveEntry[]> {
  const root = packageRoot();
  const folder = (name: string) => ({ name, mode: 0o755 });
  const order = modules.map(({ name }) => `${name}\n`).join('');
  return [
    ...EMPTY_FOLDERS.map(folder),
    folder('bin'),
    { name: 'bin/busybox', mode: 0o755, content: busybox },
    { name: 'init', mode: 0o755, content: await readFile(join(root, INIT_PATH)) },
    { name: 'kernel.mounts', mode: 0o644, content: await readFile(join(root, MOUNTS_PATH)) },
    folder('modules'),
    { name: 'modules/order', mode: 0o644, content: Buffer.from(order) },
    ...modules.map(({ name, content }) => ({ name: `modules/${name}`, mode: 0o644, content })),
  ];
}
