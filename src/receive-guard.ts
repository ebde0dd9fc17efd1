/**
 * Guards a gRPC server that strangers reach: finds out who calls before the
 * request is read, and bounds what is held of requests that have not arrived
 * yet, by size, number and time. grpc-js alone would hold whole messages of
 * callers whom nobody knows, for as long as they like.
 */
import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from '@grpc/grpc-js';
import { addressPrefix } from './auth/address-prefix.js';
import type { Authenticate } from './auth/authenticate.js';
import type { AuthPolicy } from './auth/policy.js';
import type { Principal } from './auth/principal.js';
import { addressOfPeer } from './client-address.js';
import { GuardedCall } from './guarded-call.js';
import { type ReceiveLimits, ReceiveSlots } from './receive-slots.js';

/** Largest message of a method that asks for no credential: the fields of a sign-up, amply. */
export const ANONYMOUS_MESSAGE_BYTES_MAX = 64 * 1024;
/**
 * Largest message of a stream, of which a few wait for their handler. How many
 * streams there are is bounded where they are opened (app/stream-slots.ts).
 */
export const STREAM_MESSAGE_BYTES_MAX = 256 * 1024 + 16 * 1024;
/** Largest message of a conversation but the first: 64 KiB of input and what is around it. */
export const CONVERSATION_MESSAGE_BYTES_MAX = 64 * 1024 + 4 * 1024;
/** Time for a request to arrive. */
export const RECEIVE_TIMEOUT_MS = 30_000;

/** At most 256 MiB: a slot for each message of 4 MiB. */
export const KNOWN_CALLER_LIMITS: ReceiveLimits = {
  slotsMax: 64,
  slotsPerCallerMax: 16,
  pendingMax: 4096,
  pendingPerCallerMax: 512,
};
/**
 * Streams whose first message is not there yet, at most 140 MiB: before that no
 * sandbox and no team counts them. They end by themselves after a while
 * (app/first-message.ts).
 */
export const OPENING_STREAM_LIMITS: ReceiveLimits = {
  slotsMax: 512,
  slotsPerCallerMax: 128,
  pendingMax: 4096,
  pendingPerCallerMax: 2048,
};
/** At most 64 MiB, and as much for streams. A caller is an address. */
export const ANONYMOUS_LIMITS: ReceiveLimits = {
  slotsMax: 1024,
  slotsPerCallerMax: 64,
  pendingMax: 4096,
  pendingPerCallerMax: 512,
};

export interface ReceiveGuardOptions {
  policy: AuthPolicy;
  authenticate: Authenticate;
  knownCallerLimits?: ReceiveLimits;
  openingStreamLimits?: ReceiveLimits;
  anonymousLimits?: ReceiveLimits;
  receiveTimeoutMs?: number;
}

type Outcome = { principal: Principal } | { error: unknown };
type Method = Parameters<ServerInterceptor>[0];

export class ReceiveGuard {
  readonly #options: ReceiveGuardOptions;
  readonly #knownCallers: ReceiveSlots;
  readonly #openingStreams: ReceiveSlots;
  readonly #anonymous: ReceiveSlots;
  /** Apart, as they last: nobody who keeps such streams open keeps others from logging in. */
  readonly #anonymousStreams: ReceiveSlots;
  /** What was found out about a call, by the metadata that its handler gets. */
  readonly #outcomes = new WeakMap<Metadata, Outcome>();

  constructor(options: ReceiveGuardOptions) {
    this.#options = options;
    this.#knownCallers = new ReceiveSlots(options.knownCallerLimits ?? KNOWN_CALLER_LIMITS);
    this.#openingStreams = new ReceiveSlots(options.openingStreamLimits ?? OPENING_STREAM_LIMITS);
    this.#anonymous = new ReceiveSlots(options.anonymousLimits ?? ANONYMOUS_LIMITS);
    this.#anonymousStreams = new ReceiveSlots(options.anonymousLimits ?? ANONYMOUS_LIMITS);
  }

  /** For the server. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const credential = this.#options.policy.get(method.path) ?? 'none';
    if (credential === 'none') limitMessage(call, ANONYMOUS_MESSAGE_BYTES_MAX);
    else if (method.requestStream) limitMessage(call, STREAM_MESSAGE_BYTES_MAX);
    return new GuardedCall(call, {
      receive: (metadata, read, signal) => this.#receive(method, call, metadata, read, signal),
      // Who asks again and again on one stream may take time between two questions.
      timeoutMs: method.requestStream
        ? undefined
        : (this.#options.receiveTimeoutMs ?? RECEIVE_TIMEOUT_MS),
      arrivesWithMessage: method.requestStream && credential !== 'none',
      // A service of ours tells what it refuses, and logs it; others are not asked.
      refuse: this.#options.policy.has(method.path)
        ? (metadata, error) => void this.#outcomes.set(metadata, { error })
        : undefined,
    });
  };

  /** For the services on that server: what was found out before the request was read. */
  readonly authenticate: Authenticate = async (path, metadata) => {
    const outcome = this.#outcomes.get(metadata);
    if (!outcome) throw new Error(`a call of ${path} passed by its guard`);
    if ('error' in outcome) throw outcome.error;
    return outcome.principal;
  };

  async #receive(
    { path, requestStream, responseStream }: Method,
    call: ServerInterceptingCallInterface,
    metadata: Metadata,
    read: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { policy, authenticate } = this.#options;
    const principal: Principal = policy.has(path)
      ? await authenticate(path, metadata)
      : { kind: 'anybody' };
    this.#outcomes.set(metadata, { principal });
    if (principal.kind === 'anybody') {
      const client = addressPrefix(addressOfPeer({ peer: call.getPeer() }));
      const slots = requestStream ? this.#anonymousStreams : this.#anonymous;
      return slots.hold(client, read, signal);
    }
    const caller = principal.kind === 'team' ? principal.teamId : principal.user.id;
    const slots = requestStream ? this.#openingStreams : this.#knownCallers;
    await slots.hold(`${principal.kind} ${caller}`, read, signal);
    if (requestStream && responseStream) limitMessage(call, CONVERSATION_MESSAGE_BYTES_MAX);
  }
}

/**
 * Sets the largest message of one call. grpc-js has an option for a whole
 * server only; these are the fields in which a call keeps it.
 */
function limitMessage(call: ServerInterceptingCallInterface, bytesMax: number): void {
  const fields = call as unknown as {
    maxReceiveMessageSize: number;
    decoder: { maxReadMessageLength: number };
  };
  fields.maxReceiveMessageSize = bytesMax;
  fields.decoder.maxReadMessageLength = bytesMax;
}
