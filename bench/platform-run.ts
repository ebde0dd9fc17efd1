/** A benchmark on a platform of its own: how all of them start, end and report. */
import { printLine } from '../cli/io.js';
import { type MachineFacts, machineFacts, watchNoise } from './machine.js';
import type { BenchContext } from './measure.js';
import type { Settings } from './place.js';
import { BenchPlatform } from './platform.js';
import type { BenchReport, CountReport, GroupReport } from './report.js';

export interface Findings {
  groups: GroupReport[];
  counts?: CountReport[];
}

/** @param work is given a platform that runs, and what the agent says of its machines. */
export async function withPlatform(
  script: string,
  { options, progress, signal }: BenchContext,
  work: (platform: BenchPlatform, machine: MachineFacts) => Promise<Findings>,
  settings: Settings = {},
): Promise<BenchReport> {
  progress.show('starting a platform');
  await using platform = await BenchPlatform.start(options.driver, settings);
  try {
    signal.throwIfAborted();
    const machine = await machineFacts(await platform.host());
    const noiseSoFar = await watchNoise();
    const findings = await work(platform, machine);
    const noise = await noiseSoFar();
    progress.show('stopping the platform');
    return { script, machine, noise, ...findings };
  } catch (error) {
    if (!signal.aborted) {
      progress.clear();
      printLine(process.stderr, `The logs are in ${platform.keepLogs()}.`);
    }
    throw error;
  }
}

/**
 * The same on the fake driver, whatever was asked for: what a machine takes would hide what is
 * measured.
 */
export function withFakePlatform(
  script: string,
  context: BenchContext,
  work: (platform: BenchPlatform) => Promise<Findings>,
  settings: Settings = {},
): Promise<BenchReport> {
  const onFake = { ...context, options: { ...context.options, driver: 'fake' as const } };
  return withPlatform(script, onFake, work, settings);
}

/** Restores need machines that are real. */
export function acceleratorOf({ driver, accelerator }: MachineFacts): 'kvm' | 'tcg' {
  if (driver !== 'qemu') throw new Error('this benchmark needs --driver qemu');
  return accelerator === 'kvm' ? 'kvm' : 'tcg';
}
