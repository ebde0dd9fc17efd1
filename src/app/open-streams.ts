/**
 * The streams that are open: how many there are, and the end of those whose API
 * key is deleted. A stream may last for days, and its credential was looked at
 * when it was opened.
 */
import { Code, hasReason, WrennError } from '../../lib/errors/index.js';
import type { Log } from '../../lib/log/log.js';
import { STREAM_LIMITS, StreamSlots, UPLOAD_LIMITS } from './stream-slots.js';

/** How often the keys of open streams are looked at: another process may have deleted one. */
export const KEY_CHECK_INTERVAL_MS = 30_000;

/** Who opens a stream. */
export interface StreamCaller {
  teamId: string;
  apiKeyId: string;
  /** Aborts when the caller goes away. */
  signal: AbortSignal;
}

export interface OpenStream {
  /** Aborts when the caller goes away, or may no longer have the stream. */
  signal: AbortSignal;
  /** What the caller is told in place of the error with which the stream ended. */
  explain(error: unknown): unknown;
  /** To be called once, at the end. */
  close(): void;
}

/** Those of the keys with these ids that have not been deleted. */
export type FindKeys = (apiKeyIds: string[]) => Promise<string[]>;

export class OpenStreams {
  readonly #findKeys: FindKeys;
  readonly #log: Log;
  readonly #slots = new StreamSlots(STREAM_LIMITS);
  readonly #uploadSlots = new StreamSlots(UPLOAD_LIMITS);
  /** What ends each stream, by the id of its key. */
  readonly #endings = new Map<string, Set<AbortController>>();
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(findKeys: FindKeys, log: Log, intervalMs = KEY_CHECK_INTERVAL_MS) {
    this.#findKeys = findKeys;
    this.#log = log;
    this.#intervalMs = intervalMs;
  }

  /** Counts a stream and follows its key. @throws STREAM_LIMIT */
  open(caller: StreamCaller): OpenStream {
    return this.#follow(caller, this.#slots.open(caller.teamId));
  }

  /** The same for an upload, which counts among the uploads, too. */
  openUpload(caller: StreamCaller): OpenStream {
    const releaseUpload = this.#uploadSlots.open(caller.teamId);
    try {
      const release = this.#slots.open(caller.teamId);
      return this.#follow(caller, () => {
        release();
        releaseUpload();
      });
    } catch (error) {
      releaseUpload();
      throw error;
    }
  }

  #follow({ apiKeyId, signal }: StreamCaller, release: () => void): OpenStream {
    const ending = new AbortController();
    this.#add(apiKeyId, ending);
    return {
      signal: AbortSignal.any([signal, ending.signal]),
      explain: (error) =>
        ending.signal.aborted && hasReason(error, 'CANCELLED') ? ending.signal.reason : error,
      close: () => {
        this.#remove(apiKeyId, ending);
        release();
      },
    };
  }

  /** Ends the streams of a key. */
  revoke(apiKeyId: string): void {
    for (const ending of this.#endings.get(apiKeyId) ?? []) ending.abort(keyDeleted());
  }

  /** Ends the streams of all keys that have been deleted; none when that cannot be found out. */
  async check(): Promise<void> {
    const used = [...this.#endings.keys()];
    try {
      const found = new Set(await this.#findKeys(used));
      for (const apiKeyId of used) if (!found.has(apiKeyId)) this.revoke(apiKeyId);
    } catch (error) {
      this.#log.warn('keys of open streams not checked', { error });
    }
  }

  #add(apiKeyId: string, ending: AbortController): void {
    const endings = this.#endings.get(apiKeyId) ?? new Set();
    this.#endings.set(apiKeyId, endings.add(ending));
    this.#timer ??= setInterval(() => void this.check(), this.#intervalMs).unref();
  }

  #remove(apiKeyId: string, ending: AbortController): void {
    const endings = this.#endings.get(apiKeyId);
    endings?.delete(ending);
    if (endings?.size === 0) this.#endings.delete(apiKeyId);
    if (this.#endings.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function keyDeleted(): WrennError {
  return new WrennError(
    Code.UNAUTHENTICATED,
    'CREDENTIAL_INVALID',
    'the API key of the stream has been deleted',
  );
}
