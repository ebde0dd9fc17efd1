/**
 * Slows down guessing of passwords: after some failures each further one
 * doubles the time until the next attempt, per account and per address. Signing
 * up is slowed down in the same way, per address and whatever becomes of it.
 * Counters stand in memory, bounded; API keys are not affected by them.
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import { addressPrefix } from './address-prefix.js';

/** Attempts without success before the first wait. */
export const ACCOUNT_FREE_ATTEMPTS = 10;
/** Higher than for an account: many people may share an address. */
export const ADDRESS_FREE_ATTEMPTS = 100;
/** Accounts that one address may make, or try to make, before the first wait. */
export const SIGN_UP_FREE_ATTEMPTS = 100;
export const FIRST_WAIT_MS = 1000;
/** Longest wait; also the time after which a quiet counter is forgotten. */
export const WAIT_MS_MAX = 15 * 60_000;
/** Counters of each kind; the one that was quiet longest goes first. */
export const COUNTERS_MAX = 10_000;

interface Counter {
  failures: number;
  openAtMs: number;
  lastAtMs: number;
}

/** An attempt that has begun. It counts as failed until one of these is called. */
export interface LoginAttempt {
  /** The password was right: the account's failures are forgotten. */
  succeed(): void;
  /** It was never decided: the attempt does not count. */
  withdraw(): void;
}

export class LoginThrottle {
  readonly #now: () => number;
  readonly #accounts: Counters;
  readonly #addresses: Counters;
  readonly #signUps = new Counters(SIGN_UP_FREE_ATTEMPTS);

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#accounts = new Counters(ACCOUNT_FREE_ATTEMPTS);
    this.#addresses = new Counters(ADDRESS_FREE_ATTEMPTS);
  }

  /**
   * To be called before the password is looked at, so that attempts made at
   * the same moment count as well.
   * @throws TOO_MANY_LOGINS with the seconds to wait.
   */
  begin(account: string, address: string): LoginAttempt {
    const now = this.#now();
    const client = addressPrefix(address);
    const waitMs = Math.max(
      this.#accounts.waitMs(account, now),
      this.#addresses.waitMs(client, now),
    );
    if (waitMs > 0) throw tooMany('too many failed attempts; try again later', waitMs);
    this.#accounts.add(account, now);
    this.#addresses.add(client, now);
    return {
      succeed: () => {
        this.#accounts.forget(account);
        this.#addresses.subtract(client);
      },
      withdraw: () => {
        this.#accounts.subtract(account);
        this.#addresses.subtract(client);
      },
    };
  }

  /**
   * Counts a sign-up; to be called before anything is done for it.
   * @returns what takes the count back, for a sign-up that we did not decide.
   * @throws TOO_MANY_LOGINS with the seconds to wait.
   */
  beginSignUp(address: string): () => void {
    const now = this.#now();
    const client = addressPrefix(address);
    const waitMs = this.#signUps.waitMs(client, now);
    if (waitMs > 0)
      throw tooMany('too many new accounts from this address; try again later', waitMs);
    this.#signUps.add(client, now);
    return () => this.#signUps.subtract(client);
  }
}

class Counters {
  readonly #freeAttempts: number;
  readonly #counters = new Map<string, Counter>();

  constructor(freeAttempts: number) {
    this.#freeAttempts = freeAttempts;
  }

  waitMs(key: string, now: number): number {
    const counter = this.#counters.get(key);
    if (!counter || now - counter.lastAtMs > WAIT_MS_MAX) return 0;
    return Math.max(0, counter.openAtMs - now);
  }

  add(key: string, now: number): void {
    const known = this.#counters.get(key);
    const failures = known && now - known.lastAtMs <= WAIT_MS_MAX ? known.failures + 1 : 1;
    const doublings = failures - this.#freeAttempts;
    const waitMs = doublings < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** doublings, WAIT_MS_MAX);
    // Deleting first moves the counter to the end: the map stays sorted by `lastAtMs`.
    this.#counters.delete(key);
    this.#counters.set(key, { failures, openAtMs: now + waitMs, lastAtMs: now });
    if (this.#counters.size <= COUNTERS_MAX) return;
    const [oldest] = this.#counters.keys();
    if (oldest !== undefined) this.#counters.delete(oldest);
  }

  subtract(key: string): void {
    const counter = this.#counters.get(key);
    if (!counter) return;
    counter.failures -= 1;
    counter.openAtMs = counter.lastAtMs;
    if (counter.failures <= 0) this.#counters.delete(key);
  }

  forget(key: string): void {
    this.#counters.delete(key);
  }
}

function tooMany(message: string, waitMs: number): WrennError {
  return new WrennError(Code.RESOURCE_EXHAUSTED, 'TOO_MANY_LOGINS', message, {
    retryAfterSec: Math.ceil(waitMs / 1000),
  });
}
