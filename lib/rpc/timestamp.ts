import type { Timestamp } from '../../gen/ts/google/protobuf/timestamp.js';

/** A Timestamp message of a time in milliseconds since the epoch. */
export function toTimestamp(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((timeMs - seconds * 1000) * 1e6) };
}

/** The time of a Timestamp message in milliseconds since the epoch. */
export function fromTimestamp({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
