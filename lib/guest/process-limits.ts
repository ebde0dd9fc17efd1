/** How much a guest daemon keeps of launched programs. */

export interface ProcessLimits {
  /** Programs that run, or whose holder has not taken all that they printed. */
  runningMax: number;
  /** Ended programs whose output is kept. */
  endedMax: number;
  /** Output in bytes that ended programs keep together. */
  endedBytesMax: number;
  /** How long an ended program is kept. */
  endedKeptMs: number;
  /** How long a program waits for a holder whose connection broke at the restore of a snapshot. */
  holderReturnMs: number;
}

export const PROCESS_LIMITS: ProcessLimits = {
  runningMax: 256,
  endedMax: 32,
  endedBytesMax: 16 * 1024 * 1024,
  endedKeptMs: 10 * 60 * 1000,
  holderReturnMs: 30_000,
};

/** Input in bytes that waits for a program to read it; also the largest piece of input. */
export const INPUT_QUEUE_BYTES_MAX = 1024 * 1024;
/** Writers whose last sequence number is remembered for each program. */
export const INPUT_WRITERS_MAX = 64;
/** Characters of arguments that a list shows of one program. */
export const LISTED_ARGS_LENGTH_MAX = 4096;
