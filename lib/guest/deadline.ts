/** A timer of any length: one of Node's holds less than 25 days. */

const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls back once when the time is over. @returns what stops it. */
export function callAfter(durationMs: number, onOver: () => void): () => void {
  const endsAt = performance.now() + durationMs;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const leftMs = endsAt - performance.now();
    timer =
      leftMs > TIMER_MS_MAX
        ? setTimeout(wait, TIMER_MS_MAX)
        : setTimeout(onOver, Math.max(0, leftMs));
  };
  wait();
  return () => clearTimeout(timer);
}
