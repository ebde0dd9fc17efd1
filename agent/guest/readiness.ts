/**
 * Waits for a guest that boots. A first packet that is lost must not cost the
 * seconds after which TCP would send it again, so each try is a connection of
 * its own with a short time limit.
 */
import { connect } from 'node:net';
import { delay } from '../../lib/lifecycle/delay.js';
import { createConnection, type GuestConnection } from './guest-connection.js';
import { fromGuest, guestUnreachable, printable } from './guest-error.js';

/** Time limit for opening a connection. Within one host that takes microseconds. */
const CONNECT_TIMEOUT_MS = 250;
/** Pause after the first try; it doubles up to the longest. */
const PAUSE_MS = 10;
const PAUSE_MS_MAX = 100;
/** Time limit of the first health check; an emulated guest compiles its handlers during it. */
const CHECK_TIMEOUT_MS = 2_000;
const CHECK_TIMEOUT_MS_MAX = 10_000;
/** Characters that are kept of what a guest calls its daemon's version. */
const VERSION_LENGTH_MAX = 64;

/** A daemon that answers. */
export interface ReadyGuest {
  /** The connection on which it has answered. */
  connection: GuestConnection;
  /** What it says its version is, printable and bounded, yet not to be trusted. */
  version: string;
}

/**
 * Waits until the daemon answers a health check.
 * @param onFailedTry called after each try that failed.
 * @throws WrennError GUEST_UNREACHABLE when the time is over; the signal's reason when it aborts.
 */
export async function untilReady(
  target: string,
  timeoutMs: number,
  signal: AbortSignal,
  onFailedTry: (error: unknown) => void,
): Promise<ReadyGuest> {
  const endsAt = performance.now() + timeoutMs;
  let checkTimeoutMs = CHECK_TIMEOUT_MS;
  let pauseMs = PAUSE_MS;
  let last: unknown;
  while (performance.now() < endsAt) {
    signal.throwIfAborted();
    try {
      await probe(target, signal);
      const timeLeftMs = endsAt - performance.now();
      const limitMs = Math.max(PAUSE_MS_MAX, Math.min(checkTimeoutMs, timeLeftMs));
      return await check(target, limitMs, signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      last = error;
      onFailedTry(error);
      // It listens but is slow: give the next check more time.
      if (!(error instanceof NotListening)) {
        checkTimeoutMs = Math.min(checkTimeoutMs * 2, CHECK_TIMEOUT_MS_MAX);
      }
    }
    await delay(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
  throw guestUnreachable(`the guest daemon did not answer within ${timeoutMs / 1_000} s`, last);
}

class NotListening extends Error {
  override readonly name = 'NotListening';
}

/** Opens a plain connection and closes it again. */
function probe(target: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(addressOf(target));
    const end = (error?: Error) => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      if (error) reject(new NotListening(error.message, { cause: error }));
      else resolve();
    };
    const abort = () => end(new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(new Error('no answer to the connection')));
    socket.once('connect', () => end());
    socket.on('error', end);
  });
}

async function check(target: string, timeoutMs: number, signal: AbortSignal): Promise<ReadyGuest> {
  const connection = createConnection(target);
  try {
    const { version } = await connection.guest.getHealth({}, { timeoutMs, signal });
    return { connection, version: printable(version, VERSION_LENGTH_MAX) };
  } catch (error) {
    connection.close();
    throw fromGuest(error, signal);
  }
}

/** `10.1.2.3:49983` or `unix:/path` as Node's net takes it. */
function addressOf(target: string): { path: string } | { host: string; port: number } {
  if (target.startsWith('unix:')) return { path: target.slice('unix:'.length) };
  const separator = target.lastIndexOf(':');
  return { host: target.slice(0, separator), port: Number(target.slice(separator + 1)) };
}
