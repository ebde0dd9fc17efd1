/** Finds an answer to a question: the host's name servers in their order, twice. */
import { setTimeout } from 'node:timers';
import type { Log } from '../../../lib/log/log.js';
import type { Admission } from './admission.js';
import { type DnsQuery, errorAnswer, parseQuery, Rcode, rcodeOf } from './message.js';
import type { HostResolvers, Resolver } from './resolvers.js';
import { ask, type Protocol } from './upstream.js';

/** How long one name server may take. */
export const SERVER_TIMEOUT_MS = 2_000;
/** How long a guest waits at most; C libraries ask again after 5 s and give up after 10. */
export const RELAY_TIMEOUT_MS = 9_000;
/** How often all name servers are tried. */
const ROUNDS = 2;

/** Answers after which another name server may know better. */
const UNHELPFUL: readonly number[] = [Rcode.SERVFAIL, Rcode.NOTIMP, Rcode.REFUSED];

export interface RelayOptions {
  resolvers: HostResolvers;
  admission: Admission;
  /** The forwarder's own address, which is never asked. */
  own: Resolver;
  serverTimeoutMs?: number;
  log: Log;
}

export class Relay {
  readonly #options: RelayOptions;
  readonly #serverTimeoutMs: number;
  /** The questions under way. */
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#serverTimeoutMs = options.serverTimeoutMs ?? SERVER_TIMEOUT_MS;
  }

  /**
   * Answers a guest's message; never rejects.
   * @returns undefined for what is no question and gets no answer.
   */
  async answer(message: Buffer, source: string, protocol: Protocol): Promise<Buffer | undefined> {
    const query = parseQuery(message);
    if (!query || this.#closed) return undefined;
    if (!query.standard) return errorAnswer(query, Rcode.NOTIMP);
    const question = new AbortController();
    const leave = this.#options.admission.enter(source, () =>
      question.abort(new Error('dropped for a question of another guest')),
    );
    if (!leave) return errorAnswer(query, Rcode.REFUSED);
    this.#underWay.add(question);
    try {
      const answer = await this.#relay(query, protocol, question.signal);
      return answer ?? errorAnswer(query, question.signal.aborted ? Rcode.REFUSED : Rcode.SERVFAIL);
    } finally {
      this.#underWay.delete(question);
      leave();
    }
  }

  /** Ends all questions under way. */
  close(): void {
    this.#closed = true;
    for (const question of this.#underWay) question.abort(new Error('the forwarder is closed'));
  }

  async #relay(
    query: DnsQuery,
    protocol: Protocol,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const endsAtMs = performance.now() + RELAY_TIMEOUT_MS;
    let unhelpful: Buffer | undefined;
    for (let round = 0; round < ROUNDS && !unhelpful; round += 1) {
      for (const server of await this.#servers()) {
        const leftMs = endsAtMs - performance.now();
        if (leftMs <= 0 || signal.aborted) return unhelpful;
        const answer = await this.#ask(server, query, protocol, { leftMs, signal });
        if (answer && !UNHELPFUL.includes(rcodeOf(answer))) return answer;
        unhelpful = answer ?? unhelpful;
      }
    }
    return unhelpful;
  }

  async #servers(): Promise<Resolver[]> {
    const { resolvers, own } = this.#options;
    const all = await resolvers.list();
    return all.filter(({ address, port }) => address !== own.address || port !== own.port);
  }

  async #ask(
    server: Resolver,
    query: DnsQuery,
    protocol: Protocol,
    { leftMs, signal }: { leftMs: number; signal: AbortSignal },
  ): Promise<Buffer | undefined> {
    const controller = new AbortController();
    const expire = () => controller.abort(new Error('the name server did not answer in time'));
    const timer = setTimeout(expire, Math.min(leftMs, this.#serverTimeoutMs));
    const end = () => controller.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    try {
      return await ask(server, query, protocol, controller.signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#options.log.debug('name server did not answer', { server: server.address, error });
      return undefined;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }
}
