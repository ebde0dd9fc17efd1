/** Names of signals, as a guest may report them: those of this host's Linux. */
import { constants } from 'node:os';

const NAMES: ReadonlySet<string> = new Set(Object.keys(constants.signals));

export function isSignalName(name: string): boolean {
  return NAMES.has(name);
}
