/**
 * Why a test was skipped. Mocha has no place for it, so it stands on the test,
 * hook or suite that was skipped, where the summary reporter finds it.
 */
const SKIP_REASON = Symbol.for('wrenn.skipReason');

interface Bearer {
  parent?: Bearer | undefined;
  [SKIP_REASON]?: string;
}

/**
 * Skips the running test, or all tests of the suite when called from a `before` hook.
 * @param reason one plain phrase for the summary, such as `needs root`.
 */
export function skipBecause(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable();
  const bearer: Bearer | undefined = isHook(runnable) ? runnable.parent : runnable;
  if (bearer) bearer[SKIP_REASON] = reason;
  context.skip();
}

/** The reason that `skipBecause` gave for a test or for a suite around it. */
export function skipReasonOf(test: Bearer | undefined): string | undefined {
  for (let bearer = test; bearer; bearer = bearer.parent) {
    if (bearer[SKIP_REASON] !== undefined) return bearer[SKIP_REASON];
  }
  return undefined;
}

function isHook(runnable: Mocha.Runnable): boolean {
  return 'type' in runnable && runnable.type === 'hook';
}
