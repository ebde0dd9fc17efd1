/** Finds the team of an API key, with a short memory so that a busy key does not ask the database each time. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import type { ApiKeyRecord, ApiKeyStore } from '../store/api-key.js';
import { hashApiKeySecret, isApiKeySecret } from './api-key-secret.js';

/** How long a key is believed without asking; another process may have revoked it meanwhile. */
export const CACHE_MS = 3000;
export const CACHED_KEYS_MAX = 10_000;
/** Resolution of a key's time of last use. */
export const LAST_USED_RESOLUTION_MS = 60_000;

interface CachedKey {
  key: Promise<ApiKeyRecord | undefined>;
  expiresAtMs: number;
}

export interface ApiKeyOwner {
  teamId: string;
  apiKeyId: string;
}

export class ApiKeyVerifier {
  readonly #store: ApiKeyStore;
  readonly #log: Log;
  readonly #cache = new Map<string, CachedKey>();

  constructor(store: ApiKeyStore, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** @throws CREDENTIAL_INVALID for what is not a living key; without a right checksum nobody is asked. */
  async verify(secret: string): Promise<ApiKeyOwner> {
    if (!isApiKeySecret(secret)) throw invalidKey();
    const key = await this.#find(hashApiKeySecret(secret));
    if (!key) throw invalidKey();
    return { teamId: key.teamId, apiKeyId: key.id };
  }

  /** Makes a revocation count at once in this process. */
  forget(keyHash: Buffer): void {
    this.#cache.delete(keyHash.toString('base64'));
  }

  #find(keyHash: Buffer): Promise<ApiKeyRecord | undefined> {
    const cacheKey = keyHash.toString('base64');
    const cached = this.#cache.get(cacheKey);
    if (cached && cached.expiresAtMs > performance.now()) return cached.key;

    const entry = { key: this.#load(keyHash), expiresAtMs: performance.now() + CACHE_MS };
    this.#remember(cacheKey, entry);
    // What was not found, or could not be read, is asked for again next time.
    const drop = () => {
      if (this.#cache.get(cacheKey) === entry) this.#cache.delete(cacheKey);
    };
    entry.key.then((key) => key ?? drop(), drop);
    return entry.key;
  }

  #remember(cacheKey: string, entry: CachedKey): void {
    this.#cache.delete(cacheKey);
    this.#cache.set(cacheKey, entry);
    if (this.#cache.size <= CACHED_KEYS_MAX) return;
    const [oldest] = this.#cache.keys();
    if (oldest !== undefined) this.#cache.delete(oldest);
  }

  async #load(keyHash: Buffer): Promise<ApiKeyRecord | undefined> {
    const key = await this.#store.findByHash(keyHash);
    if (key) this.#markUsed(key);
    return key;
  }

  /** Nobody waits for it, and it is lost when the database is: the time is a hint for people. */
  #markUsed({ id, lastUsed }: ApiKeyRecord): void {
    if (lastUsed && Date.now() - lastUsed.getTime() < LAST_USED_RESOLUTION_MS) return;
    this.#store.markUsed(id).catch((error: unknown) => {
      this.#log.debug('last use of api key not noted', { error });
    });
  }
}

function invalidKey(): WrennError {
  return new WrennError(
    Code.UNAUTHENTICATED,
    'CREDENTIAL_INVALID',
    'the API key is not valid; it may have been deleted',
  );
}
