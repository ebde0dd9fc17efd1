/** Ends a stream when its guest lets it wait too long; what the other side takes does not count. */
export interface StallGuard {
  /** Aborts with the caller's signal, or when the guest stalls. */
  signal: AbortSignal;
  /** The guest is waited for from now on. */
  begin(): void;
  /** It is not, any more. */
  end(): void;
  /** Begins, and passes a value through: for what is handed to the guest. */
  while<T>(value: T): T;
}

/** @param toError makes the reason that the signal aborts with. */
export function stallGuard(
  timeoutMs: number,
  toError: () => Error,
  signal: AbortSignal,
): StallGuard {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const begin = () => {
    end();
    timer = setTimeout(() => controller.abort(toError()), timeoutMs);
  };
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    begin,
    end,
    while: (value) => {
      begin();
      return value;
    },
  };
}
