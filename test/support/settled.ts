/** Waits for a count that grows to stand still. */
import { expect } from 'chai';
import { eventually } from './eventually.js';

/** Two looks this far apart that find the same make it a standstill. */
const PAUSE_MS = 500;
const TIMEOUT_MS = 60_000;

/** Resolves when the count is above zero and grows no more. */
export async function settled(count: () => number): Promise<void> {
  let last = -1;
  await eventually(
    () => {
      const previous = last;
      last = count();
      expect(last).to.be.greaterThan(0).and.to.equal(previous);
    },
    { pauseMs: PAUSE_MS, timeoutMs: TIMEOUT_MS },
  );
}
