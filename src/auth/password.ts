/**
 * Passwords: argon2id, with a bound on how many are computed at once, since
 * each one takes 19 MiB and a thread that file access needs too.
 */
import argon2 from 'argon2';
import { Code, WrennError } from '../../lib/errors/index.js';
import { Semaphore } from '../../lib/lifecycle/semaphore.js';
import { addressPrefix } from './address-prefix.js';

/** OWASP's first choice for argon2id, in KiB, passes and lanes. */
const PARAMETERS = {
  type: argon2.argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
} as const;

/** Passwords that are computed at the same time. */
export const HASHES_AT_ONCE_MAX = 2;
/** Callers that may wait for their turn; one takes about 50 ms. */
export const HASHES_WAITING_MAX = 64;
/** Of all these, how many one client may hold, so that it does not keep the others out. */
export const HASHES_PER_CLIENT_MAX = 16;
const RETRY_AFTER_SEC = 2;

/** For whom a password is computed. */
export interface PasswordTurn {
  /** Address of the client; undefined for work of ours. */
  clientAddress?: string;
  /** Aborts when nobody waits for the answer any more. */
  signal?: AbortSignal;
}

export class PasswordHasher {
  readonly #turns = new Semaphore(HASHES_AT_ONCE_MAX);
  #waiting = 0;
  readonly #waitingByClient = new Map<string, number>();
  /** Computed at the start, so that the first unknown user takes no longer than the second. */
  readonly #dummyHash = argon2.hash('nobody has this password', PARAMETERS);

  /** The PHC string to store. @throws TOO_MANY_LOGINS when too many wait already. */
  async hash(password: string, turn: PasswordTurn = {}): Promise<string> {
    return this.#inTurn(() => argon2.hash(normalize(password), PARAMETERS), turn);
  }

  /**
   * Whether the password belongs to the hash. Without a hash (an unknown user)
   * it takes as long and is false, so that time does not tell who has an account.
   * @throws TOO_MANY_LOGINS when too many wait already.
   */
  async verify(
    hash: string | undefined,
    password: string,
    turn: PasswordTurn = {},
  ): Promise<boolean> {
    const matches = await this.#inTurn(
      async () => argon2.verify(hash ?? (await this.#dummyHash), normalize(password)),
      turn,
    );
    return hash !== undefined && matches;
  }

  /** Whether a stored hash was made with weaker parameters than today's. */
  isOutdated(hash: string): boolean {
    return argon2.needsRehash(hash, PARAMETERS);
  }

  async #inTurn<T>(work: () => Promise<T>, { clientAddress, signal }: PasswordTurn): Promise<T> {
    const leave = this.#enter(
      clientAddress === undefined ? undefined : addressPrefix(clientAddress),
    );
    try {
      return await this.#turns.run(work, signal);
    } finally {
      leave();
    }
  }

  /** Takes a place. @returns what gives it back. @throws TOO_MANY_LOGINS */
  #enter(client: string | undefined): () => void {
    if (this.#waiting >= HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX) throw tooManyLogins();
    if (client !== undefined) this.#countClient(client, 1);
    this.#waiting += 1;
    return () => {
      if (client !== undefined) this.#countClient(client, -1);
      this.#waiting -= 1;
    };
  }

  #countClient(client: string, change: 1 | -1): void {
    const count = (this.#waitingByClient.get(client) ?? 0) + change;
    if (count > HASHES_PER_CLIENT_MAX) throw tooManyLogins();
    if (count === 0) this.#waitingByClient.delete(client);
    else this.#waitingByClient.set(client, count);
  }
}

/** The same characters typed on another keyboard are the same password. */
function normalize(password: string): string {
  return password.normalize('NFKC');
}

function tooManyLogins(): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'TOO_MANY_LOGINS',
    'too many passwords are being checked; try again in a moment',
    { retryAfterSec: RETRY_AFTER_SEC },
  );
}
