/** Processes of instances, their cgroups, and what they listen on. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScopeFilter } from './scope.js';

const CGROUP_ROOT = '/sys/fs/cgroup';
const COMMAND_CHARACTERS_MAX = 160;
const FAULT_DESCRIPTOR = 'anon_inode:[userfaultfd]';

interface Process {
  pid: number;
  parent: number;
  commandLine: string;
  cgroups: string;
}

/** Processes in an instance's cgroup, and those whose command names an instance or a folder. */
export async function processes(scope: ScopeFilter): Promise<string[]> {
  return (await inScope(scope)).map(
    ({ pid, commandLine }) => `${pid} ${commandLine.slice(0, COMMAND_CHARACTERS_MAX)}`,
  );
}

/** Cgroup folders of v1 and v2, with all that lies in them. */
export async function cgroups(scope: ScopeFilter): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string, inside: boolean) => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((candidate) => candidate.isDirectory())) {
      const path = join(folder, entry.name);
      const counts = inside || scope.hasName(entry.name);
      if (counts) found.push(path);
      await visit(path, counts);
    }
  };
  await visit(CGROUP_ROOT, false);
  return found;
}

/** Unix sockets with a path in a folder of the scope, in any network namespace of its processes. */
export async function unixSockets(scope: ScopeFilter): Promise<string[]> {
  const paths = new Set<string>();
  for (const { pid } of [{ pid: process.pid }, ...(await inScope(scope))]) {
    for (const line of (await read(`/proc/${pid}/net/unix`)).split('\n')) {
      const path = line.slice(line.indexOf('/'));
      if (line.includes('/') && scope.hasPath(path)) paths.add(path);
    }
  }
  return [...paths];
}

/**
 * Descriptors by which the page faults of guests are served, of the scope's processes and of those
 * that have a folder of the scope in their environment.
 */
export async function faultDescriptors(scope: ScopeFilter): Promise<string[]> {
  const all = await readProcesses();
  const inScope = new Set(select(all, scope).map(({ pid }) => pid));
  const found: string[] = [];
  for (const { pid, commandLine } of all) {
    const environment = inScope.has(pid) ? '' : await read(`/proc/${pid}/environ`);
    if (!inScope.has(pid) && !scope.mentionsDirectory(environment)) continue;
    const targets = await descriptorTargets(pid);
    const own = targets.filter((target) => target === FAULT_DESCRIPTOR);
    found.push(...own.map(() => commandLine.slice(0, COMMAND_CHARACTERS_MAX)));
  }
  return found;
}

/** TCP and UDP ports that this process, its descendants and the scope's processes listen on. */
export async function ports(scope: ScopeFilter): Promise<string[]> {
  const all = await readProcesses();
  const own = all.filter(({ pid }) => isDescendant(pid, all));
  const found = new Set<string>();
  for (const { pid, commandLine } of [...own, ...select(all, scope)]) {
    const inodes = await socketInodes(pid);
    for (const { protocol, address, inode } of await listeners(pid)) {
      const command = commandLine.split(' ')[0];
      if (inodes.has(inode)) found.add(`${protocol} ${address} of ${pid} ${command}`);
    }
  }
  return [...found];
}

async function inScope(scope: ScopeFilter): Promise<Process[]> {
  return select(await readProcesses(), scope);
}

function select(all: Process[], scope: ScopeFilter): Process[] {
  const ancestors = ancestorsOf(process.pid, all);
  return all
    .filter(({ pid }) => pid !== process.pid && !ancestors.has(pid))
    .filter(
      (candidate) =>
        scope.hasName(candidate.cgroups) ||
        scope.hasName(candidate.commandLine) ||
        scope.mentionsDirectory(candidate.commandLine),
    );
}

async function readProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const stat = await read(`/proc/${pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const commandLine = (await read(`/proc/${pid}/cmdline`)).replace(/\0/g, ' ').trim();
      const cgroupText = await read(`/proc/${pid}/cgroup`);
      return { pid, parent: Number(fields[1]), commandLine, cgroups: cgroupText };
    }),
  );
  return found.filter(({ parent }) => !Number.isNaN(parent));
}

function ancestorsOf(pid: number, all: Process[]): Set<number> {
  const parents = new Map(all.map((candidate) => [candidate.pid, candidate.parent]));
  const ancestors = new Set<number>();
  for (let parent = parents.get(pid); parent; parent = parents.get(parent)) ancestors.add(parent);
  return ancestors;
}

function isDescendant(pid: number, all: Process[]): boolean {
  return pid === process.pid || ancestorsOf(pid, all).has(process.pid);
}

async function socketInodes(pid: number): Promise<Set<string>> {
  const targets = await descriptorTargets(pid);
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

async function descriptorTargets(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  return Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => '')));
}

const LISTENING_STATES: Record<string, string> = { tcp: '0A', tcp6: '0A', udp: '07', udp6: '07' };

async function listeners(
  pid: number,
): Promise<{ protocol: string; address: string; inode: string }[]> {
  const found = [];
  for (const [protocol, listening] of Object.entries(LISTENING_STATES)) {
    const [, ...lines] = (await read(`/proc/${pid}/net/${protocol}`)).split('\n');
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const [address = '', state, inode = ''] = [fields[1], fields[3], fields[9]];
      if (state === listening) found.push({ protocol, address: readable(address), inode });
    }
  }
  return found;
}

/** The kernel's hexadecimal `address:port`, with the port made readable. */
function readable(text: string): string {
  const [address = '', port = ''] = text.split(':');
  return `${address}:${Number.parseInt(port, 16)}`;
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
