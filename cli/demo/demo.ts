/** Runs a demo: its place, interruption, and what is said when it fails. */
import { join } from 'node:path';
import { shutdownSignal } from '../../lib/lifecycle/shutdown.js';
import { loadEnvironment } from '../config.js';
import { describeFailure } from '../failure.js';
import { printLine } from '../io.js';
import type { PlatformReport } from '../up/parts.js';
import { claimDemoPlace, type DemoPlace } from './place.js';
import { Steps } from './steps.js';

const INTERRUPTED_EXIT_CODE = 130;

/** What a demo is given. It must leave nothing running. */
export type Demo = (place: DemoPlace, steps: Steps, signal: AbortSignal) => Promise<void>;

/**
 * Runs `demo` in a place of its own, which is gone afterwards; after a failure
 * its logs stay.
 * @returns the exit code.
 */
export async function runDemo(name: string, demo: Demo): Promise<number> {
  const { stdout, stderr } = process;
  const signal = shutdownSignal();
  const steps = new Steps(stdout);
  try {
    await using place = await claimDemoPlace(name, loadEnvironment());
    try {
      await demo(place, steps, signal);
    } catch (error) {
      if (!signal.aborted || place.isInUse) {
        printLine(stderr, `The logs are in ${join(place.config.stateDirectory, 'logs')}.`);
        throw error;
      }
    }
    await place.remove();
  } catch (error) {
    const { message, hint } = describeFailure(error, () => 'the address of the demo');
    printLine(stderr, `wrenn demo: ${message}${hint ? `; ${hint}` : ''}`);
    return 1;
  }
  if (signal.aborted) {
    printLine(stderr, 'interrupted; everything is stopped and removed');
    return INTERRUPTED_EXIT_CODE;
  }
  steps.finish('Everything is stopped and removed.');
  return 0;
}

/** Troubles alone: a demo prints its own steps. */
export const QUIET_REPORT: PlatformReport = {
  starting: () => undefined,
  line: () => undefined,
  trouble: (message) => printLine(process.stderr, `  ! ${message}`),
};
