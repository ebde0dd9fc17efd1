/** Fetches Debian packages and unpacks them beside the system: nothing here installs one. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { requirement, runStep } from '../failure.js';
import { aptGet } from './apt.js';
import { parseStanzas } from './stanzas.js';

const UNPACK_TIMEOUT_MS = 5 * 60_000;

export interface DebianPackage {
  name: string;
  version: string;
  /** The Depends field as it stands, or nothing. */
  depends: string;
}

/**
 * The candidate of a package in the host's lists.
 * @throws WrennError HOST_REQUIREMENT when no list has it.
 */
export async function findPackage(name: string): Promise<DebianPackage> {
  const { stdout } = await runStep(`looking for the package ${name}`, 'env', [
    'LC_ALL=C',
    ...['apt-cache', 'show', '--no-all-versions', name],
  ]);
  const [stanza] = parseStanzas(stdout);
  const version = stanza?.get('Version');
  if (!stanza || !version) throw requirement(`the host's apt sources have no package ${name}`);
  return { name, version, depends: stanza.get('Depends') ?? '' };
}

/**
 * Downloads a package of exactly this version and unpacks it, without installing it.
 * A folder that is there from an earlier call is used again.
 * @returns the folder with the package's files.
 */
export async function unpackPackage(
  { name, version }: Pick<DebianPackage, 'name' | 'version'>,
  cacheDirectory: string,
  onFraction: (fraction: number) => void = () => undefined,
): Promise<string> {
  const directory = join(cacheDirectory, `${name}_${version.replaceAll(':', '_')}`);
  if (existsSync(directory)) return directory;
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(partial, 'root'), { recursive: true, mode: 0o755 });
  await download(`${name}=${version}`, partial, onFraction);
  const archive = (await readdir(partial)).find((file) => file.endsWith('.deb'));
  if (!archive) throw requirement(`apt-get downloaded no file for the package ${name}`);
  await runStep(
    `unpacking the package ${name}`,
    'dpkg-deb',
    ['-x', join(partial, archive), join(partial, 'root')],
    { timeoutMs: UNPACK_TIMEOUT_MS },
  );
  await rename(join(partial, 'root'), directory);
  await rm(partial, { recursive: true, force: true });
  return directory;
}

async function download(
  name: string,
  directory: string,
  onFraction: (fraction: number) => void,
): Promise<void> {
  // apt reports `dlstatus:NUMBER:PERCENT:TEXT` on the descriptor that it is given.
  const onOutput = (chunk: Buffer) => {
    for (const [, percent] of chunk.toString().matchAll(/^dlstatus:\d+:([\d.]+):/gm)) {
      onFraction(Number(percent) / 100);
    }
  };
  const args = ['-o', 'APT::Status-Fd=1', 'download', name];
  await aptGet(`downloading the package ${name}`, args, { cwd: directory, onOutput });
}
