/** Instances' networks for tests: each with an id and a range of its own. */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { NetworkSlot } from '../../../agent/network/network.js';

const KILLED_AGENT = join(import.meta.dirname, 'killed-agent.ts');

/** A signal that never aborts. */
export const unhurried = new AbortController().signal;

/** A range of seven slots that nobody else is likely to use. */
export function smallRange(): string {
  return `10.${randomInt(130, 190)}.${randomInt(256)}.${16 * randomInt(16)}/28`;
}

/** Runs an agent's network in a process of its own and kills it. @returns the slots that it held. */
export async function leaveBehind(
  instanceId: string,
  options: { range?: string; poolSize: number; slots: number },
): Promise<NetworkSlot[]> {
  const { range = '', poolSize, slots } = options;
  const args = [instanceId, range, String(poolSize), String(slots)];
  const child = spawn(process.execPath, ['--import', 'tsx', KILLED_AGENT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  return JSON.parse(line) as NetworkSlot[];
}
