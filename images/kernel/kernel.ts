/**
 * The guest's kernel: Debian's kernel for cloud machines, unpacked and never installed, since the
 * package's hooks would change what the host boots. The unpacked folder keeps the modules.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageCache, PackageId, UnpackedPackage } from '../debian/package-cache.js';
import { requirement, runStep } from '../failure.js';
import type { Recipe } from '../recipe.js';
import { extractKernel } from './boot-image.js';

/** Depends on the package of the current kernel, whose name holds its release. */
const META_PACKAGE = 'linux-image-cloud-amd64';
const KERNEL_PACKAGE = /\b(linux-image-\d\S*-cloud-amd64)\b/;
const DEPMOD_TIMEOUT_MS = 2 * 60_000;

export interface KernelFacts extends Readonly<Record<string, string>> {
  packageName: string;
  packageVersion: string;
  /** What `uname -r` says in the guest. */
  release: string;
}

export function kernelRecipe(packages: PackageCache): Recipe<KernelFacts> {
  return {
    name: 'vmlinux',
    suffix: '',
    sources: [
      'images/kernel/kernel.ts',
      'images/kernel/boot-image.ts',
      'images/kernel/decompress.ts',
    ],
    inputs: {},
    async build(target, { directory, task }) {
      task.step('downloading Debian’s kernel');
      const unpacked = await packages.newest(
        META_PACKAGE,
        () => findKernelPackage(packages),
        (done) => task.fraction(done),
      );
      task.step('unpacking the kernel');
      const release = await kernelRelease(unpacked);
      const bootImage = await readFile(join(unpacked.directory, 'boot', `vmlinuz-${release}`));
      await writeFile(target, await extractKernel(bootImage, directory));
      return { packageName: unpacked.name, packageVersion: unpacked.version, release };
    },
  };
}

/**
 * The folder with a kernel's modules (`modules.dep`, `kernel/…`), indexed by depmod.
 * @throws WrennError HOST_REQUIREMENT when the package is neither in the cache nor at the mirror.
 */
export async function kernelModules(packages: PackageCache, facts: KernelFacts): Promise<string> {
  const { directory } = await packages.exactly(facts.packageName, facts.packageVersion);
  await runStep('indexing the kernel modules', 'depmod', ['-b', directory, facts.release], {
    timeoutMs: DEPMOD_TIMEOUT_MS,
  });
  return join(directory, 'lib', 'modules', facts.release);
}

async function findKernelPackage(packages: PackageCache): Promise<PackageId> {
  const { depends } = await packages.find(META_PACKAGE);
  const name = KERNEL_PACKAGE.exec(depends)?.[1];
  if (!name) throw requirement(`the package ${META_PACKAGE} names no kernel package`);
  return await packages.find(name);
}

async function kernelRelease({ directory }: UnpackedPackage): Promise<string> {
  const [release, ...others] = await readdir(join(directory, 'lib', 'modules'));
  if (!release || others.length > 0) throw requirement('the kernel package holds no one kernel');
  return release;
}
