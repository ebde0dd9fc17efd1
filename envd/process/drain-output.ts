/** All output of a program, from its start until nothing more is to come. */
import type { Child } from './child.js';
import type { Chunk, Output } from './output.js';

/**
 * How long output is waited for after the program itself has ended: a program that it left in the
 * background may hold the pipes for ever.
 */
const OUTPUT_WAIT_AFTER_EXIT_MS = 1_000;
/** As much as the pipes can hold at the end; what exceeds it came from the background. */
const OUTPUT_BYTES_AFTER_EXIT_MAX = 2 * 1024 * 1024;

/** Yields output until all its streams are closed, or the program is gone and its output too. */
export async function* drainOutput<Name extends string>(
  child: Child,
  output: Output<Name>,
): AsyncIterable<Chunk<Name>> {
  let hasExited = false;
  let waitMs = OUTPUT_WAIT_AFTER_EXIT_MS;
  let bytesLeft = OUTPUT_BYTES_AFTER_EXIT_MAX;
  // Once for the whole output: what waits for a promise is held until that settles.
  void child.exited.then(() => {
    hasExited = true;
    output.wake();
  });
  while (!output.ended) {
    const chunk = output.take();
    if (chunk) {
      yield chunk;
      if (hasExited) bytesLeft -= chunk.data.length;
    } else if (hasExited) {
      // Only waiting counts: a caller that takes its time still gets all that was written.
      const waitedFrom = performance.now();
      await within(output.changed(), waitMs);
      waitMs -= performance.now() - waitedFrom;
    } else {
      await output.changed();
    }
    if (waitMs <= 0 || bytesLeft <= 0) return;
  }
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise, expired]);
  clearTimeout(timer);
}
