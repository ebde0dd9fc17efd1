/**
 * What a test needs of the machine. Where it is missing the test is skipped
 * with its reason, or fails when WRENN_TEST_REQUIRE (a comma list of needs)
 * names it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { skipBecause } from './skip-reason.js';

const PROBE_TIMEOUT_MS = 60_000;

const PROBES = {
  root: { missing: 'needs root', probe: () => process.getuid?.() === 0 },
  qemu: {
    missing: 'needs qemu-system-x86_64',
    probe: () => succeeds('qemu-system-x86_64', ['--version']),
  },
  images: {
    missing: 'needs the images that `npm run images` builds',
    probe: () =>
      existsSync(join(process.env.WRENN_IMAGES_DIR || '/var/lib/wrenn/images', 'manifest.json')),
  },
  netns: {
    missing: 'needs network namespaces and /dev/net/tun',
    probe: () => existsSync('/dev/net/tun') && succeeds('unshare', ['--net', 'true']),
  },
  loop: {
    missing: 'needs loop devices and mkfs.ext4',
    probe: () => existsSync('/dev/loop-control') && succeeds('mkfs.ext4', ['-V']),
  },
  curl: { missing: 'needs curl', probe: () => succeeds('curl', ['--version']) },
  go: {
    missing: 'needs the Go toolchain, 1.21 or later',
    // Older ones do not fetch the toolchain that a module asks for, and know no such variable.
    probe: () => succeeds('sh', ['-c', 'test -n "$(go env GOTOOLCHAIN)"']),
  },
  chromium: {
    missing: 'needs apt-get and dpkg-deb, to fetch Chromium',
    probe: () => succeeds('apt-get', ['--version']) && succeeds('dpkg-deb', ['--version']),
  },
  apt: {
    missing: 'needs Debian with apt-get',
    probe: () =>
      succeeds('apt-get', ['--version']) &&
      /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8')),
  },
  'python-venv': {
    missing: 'needs python3 with venv',
    probe: () => succeeds('python3', ['-c', 'import venv, ensurepip']),
  },
} as const;

export type Need = keyof typeof PROBES;

const probed = new Map<Need, boolean>();

/**
 * Goes on when the machine has all `needs`. To be called in a test or a `before` hook:
 *
 *     before(function () { requireNeed(this, 'root', 'netns'); });
 *
 * @throws Error when one is missing that WRENN_TEST_REQUIRE names.
 */
export function requireNeed(context: Mocha.Context, ...needs: Need[]): void {
  for (const need of needs) {
    if (has(need)) continue;
    const { missing } = PROBES[need];
    if (required().has(need)) throw new Error(`${missing}, and WRENN_TEST_REQUIRE names ${need}`);
    skipBecause(context, missing);
  }
}

/** Whether the machine has a need; probed once. */
export function has(need: Need): boolean {
  let found = probed.get(need);
  if (found === undefined) {
    found = PROBES[need].probe();
    probed.set(need, found);
  }
  return found;
}

function required(): Set<string> {
  const names = (process.env.WRENN_TEST_REQUIRE ?? '').split(',').map((name) => name.trim());
  return new Set(names.filter(Boolean));
}

function succeeds(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: PROBE_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}
