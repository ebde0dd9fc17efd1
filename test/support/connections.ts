/** The TCP connections of a process, as the kernel lists them. */
import { run } from '../../lib/process/run.js';

/** The process's own ends of its connections, those being ended included, to a host, such as `10.1.2.3:4567`. */
export async function connectionsTo(pid: number, host: string): Promise<string[]> {
  const { stdout } = await run('ss', ['-Htnp', 'dst', host]);
  return stdout
    .split('\n')
    .filter((line) => line.includes(`pid=${pid},`))
    .map((line) => line.trim().split(/\s+/)[3] ?? '');
}
