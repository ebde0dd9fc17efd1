/**
 * The groups of processes that `run` has under way. Each is a session of its
 * own, so that a program can be killed with all that it started. A terminal's
 * Ctrl-C does not reach such a session, so it is passed on here: a process that
 * ends by a signal, or by itself, takes its groups with it.
 */

const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ids of the groups; each is the process id of its first process. */
const underWay = new Set<number>();

/**
 * Ends the group with this process from now on.
 * @returns what to call when the group needs that no longer. Idempotent.
 */
export function watchGroup(groupId: number): () => void {
  if (underWay.size === 0) listen();
  underWay.add(groupId);
  return () => {
    if (underWay.delete(groupId) && underWay.size === 0) stopListening();
  };
}

/** Sends a signal to every process of a group; none may be left. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function listen(): void {
  // Ahead of a listener that is called once, which would no longer be counted.
  for (const signal of ENDING_SIGNALS) process.prependListener(signal, onSignal);
  process.on('exit', endAll);
}

function stopListening(): void {
  for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
  process.off('exit', endAll);
}

/** Much as the terminal would: the groups are told to end, and this process dies of the signal. */
function onSignal(signal: NodeJS.Signals): void {
  // Whoever else listens ends this process in an order of its own, and may need its programs for it.
  if (process.listenerCount(signal) > 1) return;
  endAll();
  stopListening();
  process.kill(process.pid, signal);
}

/**
 * By SIGTERM whatever came here: programs such as mmdebstrap clean up after themselves, and what a
 * shell has put into the background ignores SIGINT.
 */
function endAll(): void {
  for (const groupId of underWay) signalGroup(groupId, 'SIGTERM');
}
