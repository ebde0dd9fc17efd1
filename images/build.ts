/** Builds what is missing of the images of this machine and lists them in the manifest. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasReason } from '../lib/errors/index.js';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import {
  formatManifest,
  type Image,
  type ImageManifest,
  MANIFEST_NAME,
  type TemplateImage,
} from '../lib/images/manifest.js';
import { type Claim, claimDirectory } from '../lib/lifecycle/claim.js';
import { retry } from '../lib/lifecycle/delay.js';
import { hostCodename, minimalRecipe } from './base/base.js';
import { PackageCache } from './debian/package-cache.js';
import { explain } from './failure.js';
import { ImageStore } from './image-store.js';
import { initrdRecipe } from './initrd/initrd.js';
import { kernelRecipe } from './kernel/kernel.js';
import type { Progress } from './progress.js';
import { toolsRecipe } from './tools/tools.js';

/** How long a build waits for another one of the same folders. */
export const BUILD_LOCK_TIMEOUT_MS = 20 * 60_000;
const LOCK_PAUSE_MS = 200;
const CLAIM_ROLE = 'image build';
const MANIFEST_MODE = 0o644;
const BLOCK_BYTES = 512;

export interface BuildOptions {
  imagesDirectory: string;
  /** Unpacked packages, among them the kernel's with its modules. */
  cacheDirectory: string;
  /** Fetches the package lists and makes every image anew, with Debian's newest packages. */
  refresh: boolean;
  progress: Progress;
}

/**
 * Makes kernel, initial RAM disk, tools image and templates, each only when none from the same
 * inputs is there, and writes the manifest last.
 * @throws WrennError HOST_REQUIREMENT or HOST_DISK_FULL, a sentence that says what is missing.
 */
export async function buildImages(options: BuildOptions): Promise<ImageManifest> {
  const claims = await claimFolders(options);
  try {
    const store = new ImageStore({
      ...options,
      workDirectory: join(options.cacheDirectory, 'work'),
    });
    await store.open();
    try {
      const manifest = await provideAll(store, options);
      await writeManifest(options.imagesDirectory, manifest);
      return manifest;
    } finally {
      await store.close();
    }
  } finally {
    await Promise.all(claims.map((claim) => claim.release()));
  }
}

/** The template takes longest and the others little, so all are made at the same time. */
async function provideAll(
  store: ImageStore,
  { cacheDirectory, refresh }: BuildOptions,
): Promise<ImageManifest> {
  const packages = new PackageCache(join(cacheDirectory, 'packages'), refresh);
  const provideBoot = async () => {
    const kernel = await store.provide(kernelRecipe(packages));
    const initrd = await store.provide(initrdRecipe(packages, kernel.facts));
    return { kernel, initrd };
  };
  const provideTools = async () => store.provide(await toolsRecipe(packages, process.execPath));
  const provideMinimal = async () =>
    toTemplate(await store.provide(minimalRecipe(packages, await hostCodename())));

  // One that fails does not interrupt the others: what they make is kept for the next try.
  const outcomes = await Promise.allSettled([provideBoot(), provideTools(), provideMinimal()]);
  const [boot, tools, minimal] = outcomes;
  if (boot.status === 'rejected') throw boot.reason;
  if (tools.status === 'rejected') throw tools.reason;
  if (minimal.status === 'rejected') throw minimal.reason;
  const { kernel, initrd } = boot.value;
  return {
    kernel: { ...toImage(kernel), version: kernel.facts.release },
    initrd: toImage(initrd),
    tools: { ...toImage(tools.value), nodeVersion: tools.value.facts.nodeVersion },
    templates: { minimal: minimal.value },
  };
}

function toImage({ path, sha256 }: Image): Image {
  return { path, sha256 };
}

async function toTemplate(image: Image): Promise<TemplateImage> {
  const { blocks, size } = await stat(image.path);
  return { ...toImage(image), sizeBytes: blocks * BLOCK_BYTES, virtualSizeBytes: size };
}

/** Leaves a manifest that says the same already alone, as daemons may watch it. */
async function writeManifest(imagesDirectory: string, manifest: ImageManifest): Promise<void> {
  const path = join(imagesDirectory, MANIFEST_NAME);
  const content = formatManifest(manifest, imagesDirectory);
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present !== content) await writeFileAtomic(path, content, MANIFEST_MODE);
}

/** Both folders, always in the same order: another build may share only one of them. */
async function claimFolders({ imagesDirectory, cacheDirectory }: BuildOptions): Promise<Claim[]> {
  const claims: Claim[] = [];
  try {
    for (const directory of [...new Set([cacheDirectory, imagesDirectory])].sort()) {
      claims.push(await claimWhenFree(directory));
    }
    return claims;
  } catch (error) {
    await Promise.all(claims.map((claim) => claim.release()));
    throw explain(`opening the folders ${imagesDirectory} and ${cacheDirectory}`, error);
  }
}

function claimWhenFree(directory: string): Promise<Claim> {
  return retry(() => claimDirectory(CLAIM_ROLE, directory), {
    timeoutMs: BUILD_LOCK_TIMEOUT_MS,
    pauseMs: LOCK_PAUSE_MS,
    pauseMsMax: LOCK_PAUSE_MS,
    retryable: (error) => hasReason(error, 'HOST_REQUIREMENT'),
  });
}
