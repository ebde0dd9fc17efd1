/**
 * The C library of the Debian release after the host's, for a program that the
 * host's own is too old for. An apt with folders of its own fetches it into a
 * cache; nothing is installed, and the host's package lists stay as they are.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { hostCodename } from '../../images/base/base.js';
import { CACHE_DIRECTORY_FALLBACK } from '../../images/config.js';
import { aptGet, ensureLists } from '../../images/debian/apt.js';
import { carriedSettings } from '../../images/debian/settings.js';
import { debianSources } from '../../images/debian/sources.js';
import { run } from '../../lib/process/run.js';

const NEXT_RELEASES = new Map([
  ['bookworm', 'trixie'],
  ['trixie', 'forky'],
]);
const PACKAGES = ['libc6', 'libstdc++6', 'libgcc-s1'];
/** Where the packages have their libraries, the loader among them. */
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';
const KEYRING_PATH = '/usr/share/keyrings/debian-archive-keyring.gpg';
const UNPACK_TIMEOUT_MS = 60_000;

/**
 * The words to put before a command so that it runs with the newer C library;
 * programs that it starts run with the host's again.
 * @throws WrennError HOST_REQUIREMENT when apt cannot fetch it.
 */
export async function newerCLibrary(): Promise<string[]> {
  const codename = await hostCodename();
  const next = NEXT_RELEASES.get(codename);
  if (!next) throw new Error(`no release of Debian is known to follow ${codename}`);
  const directory = join(cacheRoot(), 'c-library', next);
  if (!existsSync(directory)) await fetchInto(directory, codename, next);
  const libraries = join(directory, LIBRARIES);
  return [join(libraries, LOADER), '--library-path', libraries];
}

function cacheRoot(): string {
  return process.getuid?.() === 0 ? CACHE_DIRECTORY_FALLBACK : join(homedir(), '.cache', 'wrenn');
}

/** The folder appears only when it is whole; of two that make it at once one wins. */
async function fetchInto(directory: string, codename: string, next: string): Promise<void> {
  const partial = `${directory}.${process.pid}.partial`;
  try {
    const options = await privateApt(join(partial, 'apt'), codename, next);
    await aptGet(`fetching the package lists of ${next}`, [...options, 'update']);
    const archives = join(partial, 'archives');
    await mkdir(archives);
    const download = [...options, 'download', ...PACKAGES];
    await aptGet(`downloading the C library of ${next}`, download, { cwd: archives });
    const root = join(partial, 'root');
    for (const archive of await readdir(archives)) {
      await run('dpkg-deb', ['-x', join(archives, archive), root], {
        timeoutMs: UNPACK_TIMEOUT_MS,
      });
    }
    await rename(root, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Options of an apt that knows only the next release, from the host's own mirror. */
async function privateApt(directory: string, codename: string, next: string): Promise<string[]> {
  await ensureLists();
  const mirrors = (await debianSources(codename)).filter(
    ({ release }) => !/-(updates|security)$/.test(release),
  );
  await mkdir(join(directory, 'lists', 'partial'), { recursive: true, mode: 0o755 });
  await mkdir(join(directory, 'cache', 'archives', 'partial'), { recursive: true, mode: 0o755 });
  const sources = mirrors.map(({ uri }) => `deb [signed-by=${KEYRING_PATH}] ${uri} ${next} main\n`);
  await writeFile(join(directory, 'sources.list'), sources.join(''));
  const settings = (await carriedSettings()).map((line) => line.replace(/ "(.*)"$/, '=$1'));
  return [
    `Dir::Etc::SourceList=${join(directory, 'sources.list')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(directory, 'lists')}`,
    `Dir::Cache=${join(directory, 'cache')}`,
    // The lists of the packages alone: no translations, no descriptions of programs.
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    ...settings,
  ].flatMap((option) => ['-o', option]);
}
