/** What the signals of this command mean for the program that it follows. */
import type { EventEmitter } from 'node:events';
import { Signal } from '../../clients/typescript/index.js';

/** Two of the same signal within this time are meant for this command. */
const AGAIN_MS = 2_000;

const FORWARDED = { SIGINT: Signal.SIGNAL_INT, SIGTERM: Signal.SIGNAL_TERM } as const;

export interface InterruptActions {
  /** The program is to get a signal. */
  forward(signal: Signal): void;
  /** The user wants to leave the program alone. */
  leave(): void;
}

/** Listens until it is disposed of. */
export function forwardInterrupts(
  signals: EventEmitter | undefined,
  { forward, leave }: InterruptActions,
): Disposable {
  const listeners = Object.entries(FORWARDED).map(([name, signal]) => {
    let lastMs = Number.NEGATIVE_INFINITY;
    const listener = () => {
      const nowMs = performance.now();
      if (nowMs - lastMs <= AGAIN_MS) leave();
      else forward(signal);
      lastMs = nowMs;
    };
    signals?.on(name, listener);
    return () => signals?.off(name, listener);
  });
  return {
    [Symbol.dispose]: () => {
      for (const stop of listeners) stop();
    },
  };
}
