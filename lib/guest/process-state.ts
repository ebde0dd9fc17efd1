/** A launched program as JSON: all that the table of launched programs knows of it. */
import type { LaunchRequest, ProcessEvent_Exited } from '../../gen/ts/wrenn/envd/v1/process.js';
import type { OutputStreamName } from './output-ring.js';

export interface RingState {
  firstOffset: number;
  /** Stream and bytes, in base64. */
  chunks: [stream: OutputStreamName, data: string][];
}

export interface InputState {
  state: 'open' | 'input_closed' | 'process_ended';
  /** Last number of each writer, the one who wrote last at the end. */
  sequences: [writerId: string, sequence: string][];
}

export interface LaunchedProcessState {
  request: Omit<LaunchRequest, 'timeoutMs'> & { timeoutMs: string };
  /** When it was started, in milliseconds since the epoch. */
  startedAtMs: number;
  /** Milliseconds since then. */
  ranMs: number;
  ring: RingState;
  /** What the holder takes next; absent when nobody holds. */
  heldFrom?: number;
  input: InputState;
  timedOut: boolean;
  /** Present when it has ended and all its output is in the ring. */
  end?: ProcessEvent_Exited;
}
