/** What only wrenn-guest (native/guest) can do for the daemon: the kernel's clock and randomness. */
import { getSystemErrorName } from 'node:util';
import { run } from '../../lib/process/run.js';

const HELPER_TIMEOUT_MS = 10_000;
const REPORT_LINE = /^([a-z_]+) (\d{1,4})$/gm;

/** The host's wall clock, and when it was so. */
export interface HostTime {
  /** Nanoseconds since the epoch; 0 leaves the guest's clock as it is. */
  wallClockNs: bigint;
  /** `process.hrtime.bigint()` of that moment: the kernel's CLOCK_MONOTONIC. */
  monotonicNs: bigint;
}

/** Error numbers of the steps that the program has tried. */
export class HelperReport {
  readonly #outcomes: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.#outcomes = new Map(
      [...text.matchAll(REPORT_LINE)].map(([, step = '', error]) => [step, Number(error)]),
    );
  }

  /** @throws Error when one of the steps has failed, or was not tried. */
  requireDone(...steps: string[]): void {
    for (const step of steps) {
      const error = this.#outcomes.get(step);
      if (error === undefined) throw new Error(`${step} was not tried`);
      if (error !== 0) throw new Error(`${step}: ${getSystemErrorName(-error)}`);
    }
  }
}

/** Sets the clock. */
export function setClock(helperPath: string, time: HostTime): Promise<HelperReport> {
  return runHelper(helperPath, ['clock', ...toArguments(time)]);
}

/** Sets the clock and renews the kernel's randomness, in one process: starting one takes long. */
export function setClockAndEntropy(
  helperPath: string,
  time: HostTime,
  entropy: Buffer,
): Promise<HelperReport> {
  return runHelper(helperPath, ['restore', ...toArguments(time)], entropy);
}

function toArguments({ wallClockNs, monotonicNs }: HostTime): string[] {
  return [String(wallClockNs), String(monotonicNs)];
}

async function runHelper(path: string, args: string[], input?: Buffer): Promise<HelperReport> {
  const { stdout } = await run(path, args, {
    timeoutMs: HELPER_TIMEOUT_MS,
    ...(input ? { input } : {}),
  });
  return new HelperReport(stdout);
}
