/**
 * QEMU's command line for a machine. Pure.
 *
 * The machine is as small as QEMU has it: microvm with virtio over MMIO, a
 * serial port for the console, nothing by default. The guest tells its disks
 * apart by their serials.
 */
import type { MachineSpec } from '../driver.js';

export type Accelerator = 'kvm' | 'tcg';

export interface CommandLineOptions {
  instanceId: string;
  accelerator: Accelerator;
  qemuPath: string;
  qmpSocketPath: string;
  start: MachineStart;
}

/** How a machine comes to life. */
export type MachineStart =
  /** Its kernel is loaded and started, with this command line. */
  | { kind: 'boot'; kernelArguments: string }
  /** It waits for the state of another machine; the kernel is in its memory. */
  | { kind: 'restore' };

/**
 * Version of the devices, their order and their properties, as far as a guest sees them. The state
 * of a machine fits machines of the same version alone: every change of a device here needs a new
 * one. What is only the host's (paths, limits, control) may change freely.
 */
export const DEVICE_LAYOUT = '1';

/** MiB in which emulation keeps translated code. QEMU's own default grows with the host. */
export const TRANSLATION_BUFFER_MB = 128;
export const CONSOLE_ID = 'console';
/** Bytes of console output that QEMU keeps; a power of two. */
export const CONSOLE_BYTES = 64 * 1024;

/** The root disk's device, and the block node that it is started with. */
export const ROOT_DISK_ID = 'disk';
const ROOT_NODE_NAME = 'rootfs';

/** Randomness that a guest may draw, so that it cannot exhaust the host's attention. */
const ENTROPY_BYTES_PER_PERIOD = 64 * 1024;
const ENTROPY_PERIOD_MS = 1000;

const MEMORY_OPTIONS = 'dump-guest-core=off,mem-merge=off';
const NAME_OPTION = '-name';

/** Argument that names a machine, by which its process is found among all of the host. */
export function machineName(instanceId: string, sandboxId: string): string {
  return `guest=wrenn-${instanceId}-${sandboxId}`;
}

/** The sandbox id that stands in a command line of this instance, also in that of the launcher. */
export function machineNameIn(
  commandLine: readonly string[],
  instanceId: string,
): string | undefined {
  const name = commandLine[commandLine.indexOf(NAME_OPTION) + 1] ?? '';
  const prefix = machineName(instanceId, '');
  return name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
}

export function commandLine(spec: MachineSpec, options: CommandLineOptions): string[] {
  return [
    options.qemuPath,
    ...[NAME_OPTION, machineName(options.instanceId, spec.sandboxId)],
    ...['-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...machine(spec, options),
    ...start(spec, options.start),
    ...rootDisk(spec),
    ...toolsDisk(spec),
    ...network(spec),
    ...entropy(),
    ...['-chardev', `ringbuf,id=${CONSOLE_ID},size=${CONSOLE_BYTES}`],
    ...['-serial', `chardev:${CONSOLE_ID}`],
    ...['-qmp', `unix:${escaped(options.qmpSocketPath)},server=on,wait=off`],
  ];
}

/**
 * The memory is a shared memfd, so that a snapshot can read it and a restore can serve it. The
 * kernel must not merge its pages with those of other machines, who could measure that.
 */
function machine({ vcpus, memoryMb }: MachineSpec, { accelerator }: CommandLineOptions): string[] {
  return [
    ...['-machine', `microvm,x-option-roms=off,rtc=on,memory-backend=memory,${MEMORY_OPTIONS}`],
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMb}M,share=on`],
    ...['-m', `${memoryMb}M`],
    ...['-smp', String(vcpus)],
    ...(accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', `tcg,thread=multi,tb-size=${TRANSLATION_BUFFER_MB}`, '-cpu', 'max']),
  ];
}

/** A guest that panics, reboots or powers off resets its machine; that ends the VMM. */
function start({ kernel }: MachineSpec, how: MachineStart): string[] {
  if (how.kind === 'restore') return ['-no-reboot', '-S', '-incoming', 'defer'];
  return [
    ...['-kernel', kernel.path, '-initrd', kernel.initrdPath],
    ...['-append', how.kernelArguments, '-no-reboot'],
  ];
}

function rootDisk({ rootfs }: MachineSpec): string[] {
  const device = `virtio-blk-device,id=${ROOT_DISK_ID},drive=${ROOT_NODE_NAME},serial=rootfs`;
  return [
    ...['-blockdev', JSON.stringify(diskNode(rootfs, ROOT_NODE_NAME))],
    // A host without room pauses the guest instead of failing its writes.
    ...['-device', `${device},werror=enospc`],
  ];
}

/** A block node, as QEMU's command line and QMP take it, of a disk that is written. */
export function diskNode(
  { path, format }: Pick<MachineSpec['rootfs'], 'path' | 'format'>,
  nodeName: string,
): Record<string, unknown> {
  const file = { driver: 'file', filename: path, discard: 'unmap' };
  return { driver: format, 'node-name': nodeName, discard: 'unmap', file };
}

function toolsDisk({ toolsPath }: MachineSpec): string[] {
  const file = { driver: 'file', filename: toolsPath, 'read-only': true };
  const disk = { driver: 'raw', 'node-name': 'tools', 'read-only': true, file };
  return [
    ...['-blockdev', JSON.stringify(disk)],
    ...['-device', 'virtio-blk-device,drive=tools,serial=tools'],
  ];
}

function network({ network: { tapName, guestMac } }: MachineSpec): string[] {
  return [
    ...['-netdev', `tap,id=network,ifname=${tapName},script=no,downscript=no`],
    ...['-device', `virtio-net-device,netdev=network,mac=${guestMac}`],
  ];
}

function entropy(): string[] {
  const limit = `max-bytes=${ENTROPY_BYTES_PER_PERIOD},period=${ENTROPY_PERIOD_MS}`;
  return [
    ...['-object', 'rng-random,id=entropy,filename=/dev/urandom'],
    ...['-device', `virtio-rng-device,rng=entropy,${limit}`],
  ];
}

/** QEMU separates options by commas, and takes two for one. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}
