/** Processes of sandboxes' machines and of the daemons, as the system shows them. */
import { readdir, readFile } from 'node:fs/promises';

/** What the daemons are started as. */
const AGENT_PROGRAM = 'agent/main';
const CONTROL_PLANE_PROGRAM = 'src/main';
const PID = /^\d+$/;
/** Places in /proc/PID/stat behind the name, which may hold anything: proc(5) counts from 3 there. */
const FIRST_FIELD = 3;
const MINOR_FAULTS = 10;
const MAJOR_FAULTS = 12;

/** @throws Error when there is none. */
export async function vmmOf(sandboxId: string): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!PID.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('qemu-system') && isNamed(command, sandboxId)) return Number(name);
  }
  throw new Error(`sandbox ${sandboxId} has no machine`);
}

/** The argument that names a machine ends with the id of its sandbox. */
function isNamed(command: string, sandboxId: string): boolean {
  return command.split('\0').some((argument) => argument.endsWith(`-${sandboxId}`));
}

/** Page faults of all threads so far. */
export async function pageFaults(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - FIRST_FIELD]);
  return field(MINOR_FAULTS) + field(MAJOR_FAULTS);
}

/** The agent of a platform. @throws Error when it does not run. */
export function agentPid(stateDirectory: string): Promise<number> {
  return daemonPid(AGENT_PROGRAM, stateDirectory);
}

/** The control plane of a platform. @throws Error when it does not run. */
export function controlPlanePid(stateDirectory: string): Promise<number> {
  return daemonPid(CONTROL_PLANE_PROGRAM, stateDirectory);
}

async function daemonPid(program: string, stateDirectory: string): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!PID.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes(program)) continue;
    const environment = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
    const isOurs = environment.split('\0').includes(`WRENN_STATE_DIR=${stateDirectory}`);
    if (isOurs) return Number(name);
  }
  throw new Error(`${program} does not run`);
}
