/** What only wrenn-guest (native/guest) can do for the daemon: the kernel's clock and randomness. */
import { getSystemErrorName } from 'node:util';
import type { Coprocess } from '../process/coprocess.js';

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
export async function setClock(helper: Coprocess, time: HostTime): Promise<HelperReport> {
  return new HelperReport(await helper.ask(`clock ${words(time)}`));
}

/** Sets the clock and renews the kernel's randomness. */
export async function setClockAndEntropy(
  helper: Coprocess,
  time: HostTime,
  entropy: Buffer,
): Promise<HelperReport> {
  return new HelperReport(await helper.ask(`restore ${words(time)} ${entropy.toString('hex')}`));
}

function words({ wallClockNs, monotonicNs }: HostTime): string {
  return `${wallClockNs} ${monotonicNs}`;
}
