/** The single checks of a host. Each returns what it found and what to do. */
import { access, constants, open, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DoctorCheck } from '../../lib/doctor/report.js';

/** Programs that the agent starts, and the Debian package of each. */
const PROGRAMS: readonly [program: string, debianPackage: string][] = [
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['qemu-img', 'qemu-utils'],
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['unshare', 'util-linux'],
  ['setpriv', 'util-linux'],
  ['prlimit', 'util-linux'],
];
const PROGRAM_FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const OTHERS_MAY_ENTER = 0o001;

/** Kernel, processor and user that the agent runs on. */
export function checkSystem(): DoctorCheck[] {
  const isRoot = process.getuid?.() === 0;
  const system = `${process.platform} ${process.arch}`;
  return [
    system === 'linux x64'
      ? { name: 'system', status: 'ok', found: system }
      : {
          name: 'system',
          status: 'missing',
          found: system,
          advice: 'Use a Linux machine with an x86-64 processor.',
        },
    isRoot
      ? { name: 'user', status: 'ok', found: 'root' }
      : {
          name: 'user',
          status: 'missing',
          found: 'not root',
          advice: 'Run as root: namespaces and TAP devices need it.',
        },
  ];
}

export function checkPrograms(): Promise<DoctorCheck[]> {
  return Promise.all(
    PROGRAMS.map(async ([program, debianPackage]): Promise<DoctorCheck> => {
      const path = await findProgram(program);
      if (path) return { name: program, status: 'ok', found: path };
      const advice = `Install the package ${debianPackage}, or let \`npm start\` do it.`;
      return { name: program, status: 'missing', found: 'not installed', advice };
    }),
  );
}

async function findProgram(program: string): Promise<string | undefined> {
  for (const folder of PROGRAM_FOLDERS) {
    const path = join(folder, program);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** Whether a device opens for reading and writing; `absent` is what it means when it does not. */
export async function checkDevice(
  path: string,
  absent: 'missing' | 'note',
  advice?: string,
): Promise<DoctorCheck> {
  try {
    const device = await open(path, constants.O_RDWR);
    await device.close();
    return { name: path, status: 'ok', found: 'opens' };
  } catch (error) {
    const found = `does not open: ${(error as NodeJS.ErrnoException).code}`;
    return { name: path, status: absent, found, ...(advice ? { advice } : {}) };
  }
}

const USERFAULTFD_DEVICE = '/dev/userfaultfd';
const USERFAULTFD_SETTING = '/proc/sys/vm/unprivileged_userfaultfd';

/**
 * Whether a VMM, which is not root, may have faults of the kernel on its memory served: by the
 * device (Linux 6.1 and later), or by the setting that older kernels have for it.
 */
export async function checkUserfaultfd(
  device = USERFAULTFD_DEVICE,
  setting = USERFAULTFD_SETTING,
): Promise<DoctorCheck> {
  const opened = await checkDevice(device, 'missing');
  if (opened.status === 'ok') return { ...opened, name: 'userfaultfd' };
  const allowed = await readFile(setting, 'utf8').catch(() => '');
  if (allowed.trim() === '1') {
    return { name: 'userfaultfd', status: 'ok', found: 'vm.unprivileged_userfaultfd=1' };
  }
  return {
    name: 'userfaultfd',
    status: 'missing',
    found: `${device} ${opened.found}`,
    advice:
      'Use Linux 6.1 or later, or allow it: `sysctl vm.unprivileged_userfaultfd=1`. Resuming needs it.',
  };
}

/** A VMM has a user of its own, which must be able to enter every folder above its files. */
export async function checkFolder(name: string, path: string): Promise<DoctorCheck> {
  for (let folder = path; folder !== dirname(folder); folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found && (found.mode & OTHERS_MAY_ENTER) === 0) {
      const advice = `Allow other users to enter it, \`chmod o+x ${folder}\`, or choose another ${name}.`;
      return { name, status: 'missing', found: `${folder} is closed to other users`, advice };
    }
  }
  return { name, status: 'ok', found: path };
}
