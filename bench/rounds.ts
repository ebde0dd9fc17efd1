/**
 * Measures arms in turns: each round makes every call once, so that a slow
 * moment of the machine meets all arms alike. The order changes from round to
 * round, since what a call leaves behind slows the next one.
 */

/** Name of an arm that does what the first baseline does: what its ratio is away from 1 is noise. */
export const AGAIN = 'the same again';

/** One way to do what is measured. */
export interface Arm {
  name: string;
  /** Does it once. @returns milliseconds, without preparation and tidying. */
  measure(signal: AbortSignal): Promise<number>;
}

export interface RoundsOptions {
  rounds: number;
  /** Rounds before these whose times are dropped: connections, caches and compilers warm up. */
  warmUpRounds: number;
  signal: AbortSignal;
  /** Hears of each round that is done, warm-up included. */
  onRound: (done: number) => void;
}

/** @returns milliseconds for each arm in the order of the rounds, by the arm's place in `arms`. */
export async function measureInTurns(
  arms: readonly Arm[],
  { rounds, warmUpRounds, signal, onRound }: RoundsOptions,
): Promise<number[][]> {
  const samples: number[][] = arms.map(() => []);
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    for (const place of roundOrder(round, arms.length)) {
      signal.throwIfAborted();
      const elapsedMs = await arms[place]?.measure(signal);
      if (elapsedMs !== undefined && round >= warmUpRounds) samples[place]?.push(elapsedMs);
    }
    onRound(round + 1);
  }
  return samples;
}

/**
 * The order of a round: each begins with another arm, and every second turn
 * goes backwards, so that no arm always follows the same one.
 */
export function roundOrder(round: number, armCount: number): number[] {
  const order = Array.from({ length: armCount }, (_, index) => (round + index) % armCount);
  return Math.floor(round / armCount) % 2 === 0 ? order : order.reverse();
}

/** Milliseconds that a piece of work takes. */
export async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
