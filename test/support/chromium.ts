/**
 * A real Chromium out of the host's Debian sources: the packages that the host
 * lacks are downloaded and unpacked into a cache. Nothing is installed.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { aptGet, ensureLists } from '../../images/debian/apt.js';
import { hasReason } from '../../lib/errors/index.js';
import { claimDirectory } from '../../lib/lifecycle/claim.js';
import { retry } from '../../lib/lifecycle/delay.js';
import { run } from '../../lib/process/run.js';

/** A download of 120 MB and its unpacking; a hook that calls `launchChromium` must allow this much. */
export const CHROMIUM_INSTALL_TIMEOUT_MS = 10 * 60_000;
const UNPACK_TIMEOUT_MS = 2 * 60_000;
const LAUNCH_TIMEOUT_MS = 60_000;
const CLAIM_PAUSE_MS = 250;
/** Headless text needs at least one font. */
const PACKAGES = ['chromium', 'chromium-common', 'fonts-dejavu-core'];
const PROGRAM = 'usr/lib/chromium/chromium';
const LIBRARY = /\.so(\.\d+)*$/;

/** A browser process of the test's own. The caller has checked the need `chromium`, and closes it. */
export async function launchChromium(): Promise<Browser> {
  const root = await chromiumRoot();
  return await chromium.launch({
    executablePath: join(root, PROGRAM),
    headless: true,
    timeout: LAUNCH_TIMEOUT_MS,
    // Root has no sandbox of Chromium's; the pages are the test's own.
    args: ['--no-sandbox'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: root,
      LD_LIBRARY_PATH: (await libraryFolders(root)).join(':'),
      FONTCONFIG_FILE: join(root, 'fonts.conf'),
    },
  });
}

/** The folder that Chromium is unpacked in; several processes that ask at once share one download. */
async function chromiumRoot(): Promise<string> {
  const cache = cacheDirectory();
  const root = join(cache, 'root');
  if (existsSync(root)) return root;
  const claim = await retry(() => claimDirectory('chromium', cache), {
    retryable: (error) => hasReason(error, 'HOST_REQUIREMENT'),
    pauseMs: CLAIM_PAUSE_MS,
    pauseMsMax: CLAIM_PAUSE_MS,
    timeoutMs: CHROMIUM_INSTALL_TIMEOUT_MS,
  });
  try {
    if (!existsSync(root)) await unpackInto(root);
  } finally {
    await claim.release();
  }
  return root;
}

/** Builds beside the cache's place and moves, so that nobody runs half a browser. */
async function unpackInto(root: string): Promise<void> {
  const partial = await mkdtemp(join(cacheDirectory(), 'partial-'));
  try {
    const archives = await download(join(partial, 'archives'));
    const files = join(partial, 'root');
    await mkdir(files);
    for (const archive of archives) {
      await run('dpkg-deb', ['-x', archive, files], { timeoutMs: UNPACK_TIMEOUT_MS });
    }
    await writeFile(join(files, 'fonts.conf'), fontSettings(root));
    await rename(files, root);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Downloads what an installation would: the packages with all that they need and the host lacks. */
async function download(directory: string): Promise<string[]> {
  await mkdir(join(directory, 'partial'), { recursive: true });
  await ensureLists();
  const settings = [`Dir::Cache::archives=${directory}/`, 'Debug::NoLocking=true'];
  await aptGet('downloading Chromium', [
    ...['--yes', '--no-install-recommends', '--download-only', '--reinstall'],
    ...settings.flatMap((setting) => ['-o', setting]),
    ...['install', ...PACKAGES],
  ]);
  const names = await readdir(directory);
  return names.filter((name) => name.endsWith('.deb')).map((name) => join(directory, name));
}

/** All folders with libraries, since some packages keep theirs in folders of their own. */
async function libraryFolders(root: string): Promise<string[]> {
  const entries = await readdir(join(root, 'usr/lib'), { recursive: true, withFileTypes: true });
  const libraries = entries.filter(({ name }) => LIBRARY.test(name));
  const folders = new Set(libraries.map(({ parentPath }) => parentPath));
  // Chromium finds what lies beside it by itself.
  folders.delete(join(root, PROGRAM, '..'));
  return [...folders];
}

function fontSettings(root: string): string {
  return [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">',
    '<fontconfig>',
    `  <dir>${join(root, 'usr/share/fonts')}</dir>`,
    `  <cachedir>${join(root, 'font-cache')}</cachedir>`,
    '</fontconfig>',
    '',
  ].join('\n');
}

function cacheDirectory(): string {
  const base = process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache');
  return join(base, 'wrenn', 'chromium');
}
