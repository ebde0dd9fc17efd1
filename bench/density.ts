/**
 * `npm run bench -- density`: host memory of idle clones of one template, against
 * the least that they can take: the template once, a bare VMM each, and the
 * pages that each guest has written.
 */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { randomId } from '../lib/ids/random-id.js';
import { run } from '../lib/process/run.js';
import { type BareMachineRestored, restoreByHand, startByHand } from './bare-restore.js';
import { makeTemplate } from './create.js';
import { type GenerationFiles, readOnlyGeneration } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import type { BenchContext } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import { memoryOf, memoryOfFile } from './process-memory.js';
import type { BenchReport, CountReport } from './report.js';
import { createAtAgent, destroyAtAgent, execAtAgent, TRUE } from './restore-arms.js';
import { agentPid, vmmOf } from './vmm-process.js';

const CLONES = 10;
/** What a guest does at its start is done by then. */
const SETTLE_MS = 5_000;
const MIB = 1024 * 1024;

/** Bytes. */
interface Use {
  vmms: number;
  /** Of all VMMs: what of the template's file is theirs in part, and what of it they have written. */
  templateShare: number;
  written: number;
  /** Of all VMMs, what has no file behind it. */
  anonymous: number;
  agent: number;
}

export function benchDensity(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/density.ts', context, async (platform, machine) => {
    const accelerator = acceleratorOf(machine);
    const { progress, signal } = context;
    progress.show('making a warm template');
    await makeTemplate(platform, signal);
    const files = await readOnlyGeneration(platform.config.stateDirectory, 'warm');
    const [path = ''] = files.memoryPaths;
    const agent = await agentPid(platform.config.stateDirectory);
    const agentBefore = (await memoryOf(agent)).proportional;
    progress.show(`starting ${CLONES} clones`);
    const clones = await startClones(platform, signal);
    await setTimeout(SETTLE_MS, undefined, { signal });
    const use = await useOf(clones, path, agent);
    const template = await cachedBytes(path);
    progress.show('ending the clones');
    for (const clone of clones) await destroyAtAgent(platform.agent, clone, signal);
    progress.show(`starting ${CLONES} bare VMMs`);
    const floors = await bareVmms(platform, files, accelerator, signal);
    const byHand = await usedByHand(platform, files, accelerator, signal);
    const growth = Math.max(0, use.agent - agentBefore);
    return compare({ ...use, agent: growth }, { template, floors, byHand });
  });
}

/** Bytes. */
interface Least {
  template: number;
  /** Of all bare VMMs. */
  floors: number;
  /** Of one VMM that was restored by hand and has run a command: what is its alone. */
  byHand: number;
}

function compare(use: Use, { template, floors, byHand }: Least): Findings {
  const clones = use.vmms - use.templateShare - use.written;
  const taken = template + clones + use.written + use.agent;
  const least = template + floors + use.written;
  const mib = (name: string, bytes: number): CountReport => ({ name, value: bytes / MIB });
  return {
    groups: [],
    counts: [
      { name: `host memory of ${CLONES} clones / the least`, value: taken / least, ideal: 1 },
      mib('host memory of the clones, MiB', taken),
      mib('the least: template once, bare VMMs, written pages, MiB', least),
      mib('template in the page cache, MiB', template),
      mib('written pages of each clone, MiB', use.written / CLONES),
      { name: 'VMM of each clone without guest memory, MiB', ...beside(clones, floors) },
      {
        name: 'of which without a file behind it, against a machine restored by hand, MiB',
        ...beside(use.anonymous - use.written, byHand * CLONES),
      },
      mib('growth of the agent for each clone, MiB', use.agent / CLONES),
      mib('memory of each clone beside the template, MiB', (taken - template) / CLONES),
    ],
  };
}

function beside(clones: number, floors: number): { value: number; ideal: number } {
  return { value: clones / CLONES / MIB, ideal: floors / CLONES / MIB };
}

/** Each has run a command, as one that somebody uses. */
async function startClones(platform: BenchPlatform, signal: AbortSignal): Promise<string[]> {
  const clones: string[] = [];
  for (let number = 0; number < CLONES; number += 1) {
    const sandboxId = randomId();
    await createAtAgent(platform.agent, { sandboxId }, signal);
    await execAtAgent(platform.agent, sandboxId, TRUE, signal);
    clones.push(sandboxId);
  }
  return clones;
}

async function useOf(clones: readonly string[], path: string, agent: number): Promise<Use> {
  const use = { vmms: 0, templateShare: 0, written: 0, anonymous: 0, agent: 0 };
  for (const clone of clones) {
    const pid = await vmmOf(clone);
    const ofFile = await memoryOfFile(pid, path);
    const all = await memoryOf(pid);
    use.vmms += all.proportional;
    use.anonymous += all.anonymous;
    use.templateShare += ofFile.proportional - ofFile.anonymous;
    use.written += ofFile.anonymous;
  }
  use.agent = (await memoryOf(agent)).proportional;
  return use;
}

/** VMMs of the same shape side by side, whose guests have never run. @returns bytes of all. */
async function bareVmms(
  { config }: BenchPlatform,
  files: GenerationFiles,
  accelerator: 'kvm' | 'tcg',
  signal: AbortSignal,
): Promise<number> {
  const machines: BareMachineRestored[] = [];
  const links: AsyncDisposable[] = [];
  try {
    for (let number = 0; number < CLONES; number += 1) {
      const link = await openGuestLink(number);
      links.push(link);
      const directory = join(config.runDirectory, `bare-${number}`);
      const options = { directory, files, accelerator, tapName: link.tapName };
      machines.push(await startByHand(options, signal));
    }
    let bytes = 0;
    for (const { pid } of machines) bytes += (await memoryOf(pid)).proportional;
    return bytes;
  } finally {
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    for (const link of links) await link[Symbol.asyncDispose]();
  }
}

/** A machine that was restored by hand, and used as the clones: bytes of its VMM without the guest's. */
async function usedByHand(
  { config }: BenchPlatform,
  files: GenerationFiles,
  accelerator: 'kvm' | 'tcg',
  signal: AbortSignal,
): Promise<number> {
  await using link = await openGuestLink();
  const directory = join(config.runDirectory, 'bare-restore');
  const options = { directory, files, accelerator, tapName: link.tapName };
  await using machine = (await restoreByHand(options, signal)).machine;
  await machine.guest.exec(TRUE.cmd, TRUE.args, signal);
  await setTimeout(SETTLE_MS, undefined, { signal });
  const [path = ''] = files.memoryPaths;
  const all = await memoryOf(machine.pid);
  return all.anonymous - (await memoryOfFile(machine.pid, path)).anonymous;
}

/** Bytes of a file that the page cache holds. */
async function cachedBytes(path: string): Promise<number> {
  const { stdout } = await run('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]);
  return Number(stdout.trim());
}
