/** Looks at everything that the agent needs of its host, and chooses the driver as the agent would. */
import { mkdir } from 'node:fs/promises';
import type { DoctorCheck, DoctorReport } from '../../lib/doctor/report.js';
import { WrennError } from '../../lib/errors/index.js';
import { type ImageManifest, readManifest } from '../../lib/images/manifest.js';
import type { AgentConfig } from '../config.js';
import { chooseDriver } from '../vmm/choose-driver.js';
import { inspectCgroups } from '../vmm/launch/cgroup.js';
import { readTscKhz } from '../vmm/tsc.js';
import {
  checkDevice,
  checkFolder,
  checkPrograms,
  checkSystem,
  checkUserfaultfd,
} from './host-checks.js';

const MIB_PER_GIB = 1024;

export async function inspectHost(config: AgentConfig): Promise<DoctorReport> {
  const manifest = await readManifest(config.imagesDirectory).catch(onlyWrennErrors);
  const checks = [
    ...checkSystem(),
    ...(await checkPrograms()),
    await checkDevice('/dev/net/tun', 'missing', 'Load the kernel module tun: `modprobe tun`.'),
    await checkUserfaultfd(),
    await checkDevice('/dev/kvm', 'note'),
    await checkCgroups(),
    await checkFolder('state folder', config.stateDirectory),
    await checkFolder('images folder', config.imagesDirectory),
    checkImages(config, manifest),
    checkMemory(config),
  ];
  return { driver: await choose(config, manifest), checks };
}

async function choose(
  config: AgentConfig,
  manifest: ImageManifest | WrennError,
): Promise<DoctorReport['driver']> {
  if (config.driver === 'fake')
    return { name: 'fake', accelerator: 'none', reason: 'WRENN_VMM_DRIVER asks for it' };
  if (manifest instanceof WrennError) {
    return {
      name: 'qemu',
      accelerator: 'not known yet',
      reason: 'KVM is tried with the kernel image, which is missing',
    };
  }
  const { stateDirectory } = config;
  await mkdir(stateDirectory, { recursive: true, mode: 0o755 });
  const tscKhz = await readTscKhz(stateDirectory);
  return await chooseDriver(config.driver, {
    stateDirectory,
    kernelPath: manifest.kernel.path,
    tscKhz,
  });
}

async function checkCgroups(): Promise<DoctorCheck> {
  const { version, missing } = await inspectCgroups();
  const found = `version ${version}`;
  if (missing.length === 0) return { name: 'cgroups', status: 'ok', found };
  return {
    name: 'cgroups',
    status: 'missing',
    found: `${found} without ${missing.join(', ')}`,
    advice: `Mount the cgroup controllers ${missing.join(', ')} below /sys/fs/cgroup.`,
  };
}

function checkImages(
  { imagesDirectory }: AgentConfig,
  manifest: ImageManifest | WrennError,
): DoctorCheck {
  if (manifest instanceof WrennError) {
    const advice = 'Build them with `npm run images`.';
    return { name: 'images', status: 'missing', found: `none in ${imagesDirectory}`, advice };
  }
  const { kernel, tools, templates } = manifest;
  const found = `kernel ${kernel.version}, Node ${tools.nodeVersion}, templates: ${Object.keys(templates).join(', ')}`;
  return { name: 'images', status: 'ok', found };
}

function checkMemory({ memoryMbMax }: AgentConfig): DoctorCheck {
  const found = `${(memoryMbMax / MIB_PER_GIB).toFixed(1)} GiB for sandboxes`;
  return { name: 'memory', status: 'ok', found };
}

function onlyWrennErrors(error: unknown): WrennError {
  if (error instanceof WrennError) return error;
  throw error;
}
