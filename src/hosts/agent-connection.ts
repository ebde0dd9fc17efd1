/**
 * The connections to one host's agent, and its errors in public terms
 * (agent-errors.ts). Calls and open streams have a connection each, so that
 * streams do not starve calls.
 */
import { credentials } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { WrennError } from '../../lib/errors/index.js';
import { createClient, type RpcClient } from '../../lib/rpc/client.js';
import { fromAgentError, hostUnavailable } from './agent-errors.js';

/** A list of all sandboxes of a host is larger than the files that other calls carry. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  // An agent that starts again is found again at once.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // Two channels to one address share a connection unless they are told not to.
  'grpc.use_local_subchannel_pool': 1,
};

export type AgentClient = RpcClient<typeof HostAgentServiceService>;

export interface Translation {
  signal?: AbortSignal;
  toPublic?: (thrown: unknown) => WrennError;
}

export class AgentConnection {
  readonly calls: AgentClient;
  readonly streams: AgentClient;

  constructor(socketPath: string) {
    const connect = () =>
      createClient(
        HostAgentServiceService,
        `unix:${socketPath}`,
        credentials.createInsecure(),
        CHANNEL_OPTIONS,
      );
    this.calls = connect();
    this.streams = connect();
  }

  close(): void {
    this.calls.close();
    this.streams.close();
  }
}

/** Brings the errors of a call into public terms. */
export async function translate<T>(call: Promise<T>, translation: Translation = {}): Promise<T> {
  try {
    return await call;
  } catch (thrown) {
    throw publicError(thrown, translation);
  }
}

/** The same for a stream. */
export async function* translateStream<T>(
  stream: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  try {
    yield* stream;
  } catch (thrown) {
    throw publicError(thrown, { signal });
  }
}

/** A call that breaks off without having been called off by its signal is one that the host did not answer. */
function publicError(
  thrown: unknown,
  { signal, toPublic = fromAgentError }: Translation,
): WrennError {
  const error = toPublic(thrown);
  const brokeOff = error.reason === 'CANCELLED' && signal?.aborted !== true;
  return brokeOff ? hostUnavailable(thrown) : error;
}
