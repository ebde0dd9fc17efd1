/** The Debian packages that a host needs: which they are, why, and how the missing ones get there. */
import { readFile } from 'node:fs/promises';
import { run } from '../lib/process/run.js';
import { aptGet, ensureLists, updateLists } from './debian/apt.js';
import { requirement } from './failure.js';

export interface HostPackage {
  name: string;
  /** What Wrenn does with it, as the end of "… for". */
  why: string;
}

export const HOST_PACKAGES: readonly HostPackage[] = [
  { name: 'gcc', why: 'building the C programs' },
  { name: 'make', why: 'building the C programs' },
  { name: 'libc6-dev', why: 'building the C programs' },
  { name: 'qemu-system-x86', why: 'running the microVMs' },
  { name: 'qemu-utils', why: 'making the disk of each sandbox (qemu-img)' },
  { name: 'iproute2', why: 'network namespaces and TAP devices (ip)' },
  { name: 'nftables', why: 'the firewall of each sandbox (nft)' },
  { name: 'util-linux', why: 'confining the VMMs (unshare, nsenter, setpriv, prlimit)' },
  { name: 'mmdebstrap', why: 'putting the base image together from packages' },
  { name: 'debian-archive-keyring', why: 'checking the packages of the base image' },
  { name: 'e2fsprogs', why: 'writing the disk of the base image (mke2fs)' },
  { name: 'squashfs-tools', why: 'packing the guest tools into one drive (mksquashfs)' },
  { name: 'kmod', why: 'the order in which a guest loads its drivers (depmod)' },
  { name: 'lz4', why: 'unpacking the guest kernel' },
  { name: 'xz-utils', why: 'unpacking the guest drivers' },
  { name: 'zstd', why: 'unpacking the guest kernel of newer Debian releases' },
];

const QUERY_TIMEOUT_MS = 30_000;

/**
 * Installs those of the packages that are missing, by name and without what they only recommend.
 * @param print gets one line for each package that is installed.
 * @throws WrennError HOST_REQUIREMENT when this is not Debian on x86-64, or not root.
 */
export async function ensureHostPackages(
  print: (line: string) => void,
  packages: readonly HostPackage[] = HOST_PACKAGES,
): Promise<void> {
  await requireDebian();
  requireRoot();
  const installed = await installedPackages(packages.map(({ name }) => name));
  const missing = packages.filter(({ name }) => !installed.has(name));
  if (missing.length === 0) return;
  for (const { name, why } of missing) print(`installing the Debian package ${name}, for ${why}`);
  await install(missing.map(({ name }) => name));
}

/** Reads what `dpkg-query` prints for the format `${Package} ${db:Status-Status}\n`. */
export function parseInstalled(text: string): Set<string> {
  return new Set([...text.matchAll(/^(\S+) installed$/gm)].map(([, name = '']) => name));
}

async function requireDebian(): Promise<void> {
  if (process.platform !== 'linux') {
    throw requirement(`Wrenn needs Debian 12 or 13 on x86-64, and this is ${process.platform}`);
  }
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID="?debian"?$/m.test(text)) {
    const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? 'another system';
    throw requirement(`Wrenn takes its packages from Debian 12 or 13, and this is ${name}`);
  }
  if (process.arch !== 'x64') {
    throw requirement(`Wrenn needs an x86-64 machine, and this is ${process.arch}`);
  }
}

async function installedPackages(names: readonly string[]): Promise<Set<string>> {
  const format = '${Package} ${db:Status-Status}\n';
  // It ends with 1 when it does not know one of the packages, and still prints the others.
  const script = 'dpkg-query --show --showformat="$0" "$@" 2> /dev/null || true';
  const { stdout } = await run('sh', ['-c', script, format, ...names], {
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  return parseInstalled(stdout);
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw requirement(
    'installing Debian packages and building images needs root: run this again as root, for example with sudo',
  );
}

async function install(names: readonly string[]): Promise<void> {
  const args = ['install', '--yes', '--no-install-recommends', '--no-remove', ...names];
  await ensureLists();
  try {
    await aptGet('installing Debian packages', args);
  } catch {
    // Old lists name versions that mirrors have dropped since.
    await updateLists();
    await aptGet('installing Debian packages', args);
  }
}
