/**
 * Whether this host can run guests with KVM. Being able to open /dev/kvm is not
 * enough, nor are the CPU's flags: only a guest that starts is a proof.
 */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { oncePerBoot } from './boot-cache.js';
import { QEMU_PATH } from './qemu/driver.js';
import { probeAccelerator } from './qemu/probe.js';

const FILE_NAME = 'kvm-probe.json';
/** What the CPU's flags call virtualization: Intel's and AMD's. */
const VIRTUALIZATION_FLAG = /^flags\s*:.*\b(vmx|svm)\b/m;

export interface KvmVerdict {
  usable: boolean;
  /** One clause for people, such as `the CPU shows neither vmx nor svm`. */
  reason: string;
}

export interface KvmInspection {
  /** Where the result of the test machine is kept. */
  stateDirectory: string;
  kernelPath: string;
  tscKhz: number;
  qemuPath?: string;
  devicePath?: string;
  cpuInfoPath?: string;
}

/** Looks at device, CPU and, once for each boot of the host, a test machine. */
export async function inspectKvm(options: KvmInspection): Promise<KvmVerdict> {
  const obstacle =
    (await deviceObstacle(options.devicePath ?? '/dev/kvm')) ??
    (await cpuObstacle(options.cpuInfoPath ?? '/proc/cpuinfo')) ??
    (await probeObstacle(options));
  return obstacle === undefined
    ? { usable: true, reason: 'a test machine started with it' }
    : { usable: false, reason: obstacle };
}

async function deviceObstacle(path: string): Promise<string | undefined> {
  try {
    await (await open(path, constants.O_RDWR)).close();
    return undefined;
  } catch (error) {
    return `${path} cannot be opened (${(error as NodeJS.ErrnoException).code})`;
  }
}

async function cpuObstacle(path: string): Promise<string | undefined> {
  return VIRTUALIZATION_FLAG.test(await readFile(path, 'utf8'))
    ? undefined
    : 'the CPU shows neither vmx nor svm';
}

async function probeObstacle(options: KvmInspection): Promise<string | undefined> {
  const { stateDirectory, kernelPath, tscKhz, qemuPath = QEMU_PATH } = options;
  const versions = [];
  for (const path of [qemuPath, kernelPath]) {
    const version = await versionOf(path);
    if (version === undefined) return `it cannot be tested without ${path}`;
    versions.push(version);
  }
  const kept = join(stateDirectory, FILE_NAME);
  const probe = { qemuPath, kernelPath, tscKhz, accelerator: 'kvm' } as const;
  const obstacle = await oncePerBoot(
    kept,
    versions.join(' '),
    isText,
    async () => (await probeAccelerator(probe)) ?? '',
  );
  return obstacle || undefined;
}

/** Tells one build of a file from another without reading it; undefined when there is none. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${path} ${size} ${mtimeMs}`;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
