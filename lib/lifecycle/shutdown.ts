const SHUTDOWN_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * A signal that aborts at the first SIGTERM, SIGINT or, when the terminal is
 * closed, SIGHUP. The next one, whichever it is, ends the process at once.
 */
export function shutdownSignal(): AbortSignal {
  const controller = new AbortController();
  const shutDown = (name: NodeJS.Signals) => {
    for (const each of SHUTDOWN_SIGNALS) process.off(each, shutDown);
    controller.abort(name);
  };
  for (const name of SHUTDOWN_SIGNALS) process.on(name, shutDown);
  return controller.signal;
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
