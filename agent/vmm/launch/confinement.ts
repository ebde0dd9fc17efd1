/**
 * How a VMM is confined, as the command that starts it. Pure. Every part of the
 * chain replaces itself by the next one, so that the pid that is spawned is the
 * VMM's in the end:
 *
 *   enter-cgroups → unshare → ip netns exec → private-view → prlimit → setpriv → VMM
 */
import { join, relative } from 'node:path';
import { packageRoot } from '../../../lib/files/package-root.js';

export type Device = 'tun' | 'kvm';

export interface ShownFolder {
  path: string;
  writable: boolean;
}

export interface Confinement {
  /** User and group of the VMM; it gets no further groups and no capabilities. */
  uid: number;
  /** Network namespace, as `ip netns` lists it. */
  namespace: string;
  cgroups: readonly string[];
  /** Devices beside the harmless ones. */
  devices: readonly Device[];
  /** Folders of the host that the VMM must not see, beside those that are always covered. */
  hiddenFolders: readonly string[];
  /** What it does see of hidden folders. */
  shownFolders: readonly ShownFolder[];
  /** Size in bytes that no file, memory file included, may outgrow. */
  fileBytesMax: number;
}

const OPEN_FILES_MAX = 1024;

/**
 * Always covered: where everybody may write or finds services, and where people keep their files
 * (and where a folder of the platform would lie out of the VMM's reach).
 */
const COVERED_FOLDERS = ['/run', '/tmp', '/var/tmp', '/root', '/home'];

/** Device numbers that Linux has given for good. */
const COMMON_DEVICES = [
  { path: 'null', mode: '666', major: 1, minor: 3 },
  { path: 'zero', mode: '666', major: 1, minor: 5 },
  { path: 'random', mode: '444', major: 1, minor: 8 },
  { path: 'urandom', mode: '444', major: 1, minor: 9 },
];
const OWN_DEVICES = {
  tun: { path: 'net/tun', mode: '600', major: 10, minor: 200 },
  kvm: { path: 'kvm', mode: '600', major: 10, minor: 232 },
};

/** The command that starts `program` (an absolute path, then its arguments) confined. */
export function confinedCommand(confinement: Confinement, program: readonly string[]): string[] {
  const { uid, namespace, cgroups, fileBytesMax } = confinement;
  return [
    ...script('enter-cgroups.sh'),
    ...[...cgroups, '--'],
    ...['unshare', '--mount', '--ipc', '--uts', '--propagation', 'private', '--'],
    ...['ip', 'netns', 'exec', namespace],
    ...script('private-view.sh'),
    ...[...viewSteps(confinement), '--'],
    ...['prlimit', '--core=0:0', exactly('nofile', OPEN_FILES_MAX), exactly('fsize', fileBytesMax)],
    '--',
    ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--no-new-privs'],
    ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all'],
    '--',
    ...program,
  ];
}

/** Arguments of private-view.sh. */
export function viewSteps(confinement: Confinement): string[] {
  return [
    ...deviceSteps(confinement),
    ...outermost([...COVERED_FOLDERS, ...confinement.hiddenFolders]).flatMap((hidden) => [
      'begin',
      ...confinement.shownFolders.flatMap((folder) => showSteps(hidden, folder)),
      ...['cover', hidden],
    ]),
  ];
}

function deviceSteps({ uid, devices }: Confinement): string[] {
  const step = (device: (typeof COMMON_DEVICES)[number], owner: number) => [
    ...['device', device.path, device.mode],
    ...[device.major, device.minor, owner].map(String),
  ];
  return [
    'begin',
    ...COMMON_DEVICES.flatMap((device) => step(device, 0)),
    ...devices.flatMap((name) => step(OWN_DEVICES[name], uid)),
    ...['cover', '/dev'],
  ];
}

function showSteps(hidden: string, { path, writable }: ShownFolder): string[] {
  return isBelow(path, hidden)
    ? ['show', writable ? 'rw' : 'ro', path, relative(hidden, path)]
    : [];
}

/** Without the folders that lie in another one of the list. */
function outermost(folders: readonly string[]): string[] {
  const unique = [...new Set(folders)];
  return unique.filter((folder) => !unique.some((other) => isBelow(folder, other)));
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

function exactly(limit: string, value: number): string {
  return `--${limit}=${value}:${value}`;
}

function script(name: string): string[] {
  return ['/bin/sh', join(packageRoot(), 'agent', 'vmm', 'launch', name)];
}
