/** What signals do to a program that handles none. */
import { constants } from 'node:os';

export const { SIGKILL, SIGCONT, SIGSTOP } = constants.signals;

const { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM } = constants.signals;
const ENDING = [SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, SIGUSR2, SIGTERM];
const NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Name of a signal that ends the program; undefined for any other. */
export function endingSignal(number: number): string | undefined {
  return ENDING.includes(number as (typeof ENDING)[number]) ? NAMES.get(number) : undefined;
}
