/**
 * Boots a kernel without any disk, to see whether an accelerator works: some
 * hosts have all that KVM needs and then crawl, or die at the first guest.
 */
import { RunError, run } from '../../../lib/process/run.js';
import type { Accelerator } from './command-line.js';

/** A working accelerator needs well below a second of this. */
export const PROBE_TIMEOUT_MS = 10_000;

/** What the kernel prints at the end of its own start, when it looks for a root disk in vain. */
const LAST_LINE = 'Unable to mount root fs';

export interface ProbeOptions {
  qemuPath: string;
  kernelPath: string;
  tscKhz: number;
  accelerator: Accelerator;
  timeoutMs?: number;
}

/** @returns why the accelerator does not work; undefined when it does. */
export async function probeAccelerator(options: ProbeOptions): Promise<string | undefined> {
  const { qemuPath, accelerator, timeoutMs = PROBE_TIMEOUT_MS } = options;
  try {
    const { stdout } = await run(qemuPath, probeArguments(options), { timeoutMs });
    if (stdout.includes(LAST_LINE)) return undefined;
    return `a test machine with ${accelerator} ended before its kernel had started`;
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    if (error.signal === null) return `a test machine with ${accelerator} failed: ${reason(error)}`;
    return `a test machine with ${accelerator} did not start within ${timeoutMs / 1000} seconds`;
  }
}

function probeArguments({ kernelPath, tscKhz, accelerator }: ProbeOptions): string[] {
  const append = `console=ttyS0 reboot=t panic=-1 no_timer_check tsc_early_khz=${tscKhz}`;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', 'microvm,x-option-roms=off,rtc=on', '-m', '128M', '-smp', '1'],
    ...['-accel', accelerator, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
    ...['-kernel', kernelPath, '-append', append, '-serial', 'stdio'],
  ];
}

function reason(error: RunError): string {
  return error.stderr.trim().split('\n').at(-1) || `exit code ${error.exitCode}`;
}
