/**
 * The gRPC client behind the gateway. It knows every method of the descriptor
 * set by name and carries requests and answers as bytes, so it needs no stubs.
 */
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type Metadata,
  type MethodDefinition,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { Connections } from '../../lib/rpc/connections.js';
import { announceExplicitEnd } from '../../lib/rpc/explicit-end.js';
import { isLongCall } from './deadlines.js';
import {
  MESSAGE_BYTES_MAX,
  RESPONSE_MESSAGE_BYTES_MAX,
  STREAM_SEND_BUFFER_BYTES_MAX,
} from './limits.js';
import { toUpstreamStream, type UpstreamStream } from './upstream-stream.js';

export interface UpstreamCallOptions {
  metadata: Metadata;
  /** Infinity for a stream that may last as long as it likes. */
  timeoutMs: number;
  /** Cancels the call when it aborts. */
  signal: AbortSignal;
}

export interface UpstreamStreamOptions extends UpstreamCallOptions {
  /** Whether the service is told the end of the messages, so that it takes no broken stream for whole. */
  endsExplicitly?: boolean;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_receive_message_length': RESPONSE_MESSAGE_BYTES_MAX,
  // Two channels to one target share a connection unless they are told not to.
  'grpc.use_local_subchannel_pool': 1,
};

const STREAM_CHANNEL_OPTIONS: ChannelOptions = {
  ...CHANNEL_OPTIONS,
  // A call that is sent again would have to be kept; a stream is not.
  'grpc.enable_retries': 0,
  'grpc.per_rpc_retry_buffer_size': STREAM_SEND_BUFFER_BYTES_MAX,
};

export class Upstream {
  readonly #methods: Map<string, MethodDefinition<unknown, unknown>>;
  readonly #shortCalls: Connections;
  /** Apart, so that many long calls do not take all streams of the connection. */
  readonly #longCalls: Connections;
  /** Apart, so that open streams and their windows hold up no unary call. */
  readonly #streams: Connections;

  constructor(descriptorSet: Buffer, target: string, credentials: ChannelCredentials) {
    this.#methods = loadMethods(descriptorSet);
    const connect = (options: ChannelOptions) =>
      new Connections(() => new Client(target, credentials, options));
    this.#shortCalls = connect(CHANNEL_OPTIONS);
    this.#longCalls = connect(CHANNEL_OPTIONS);
    this.#streams = connect(STREAM_CHANNEL_OPTIONS);
  }

  /** Calls a unary method; rejects with the ServiceError of grpc-js. */
  call(rpcPath: string, request: Uint8Array, options: UpstreamCallOptions): Promise<Buffer> {
    const method = this.#method(rpcPath);
    const connections = isLongCall(rpcPath) ? this.#longCalls : this.#shortCalls;
    return new Promise((resolve, reject) => {
      options.signal.throwIfAborted();
      const call = connections.start((client) =>
        client.makeUnaryRequest(
          method.path,
          asBytes,
          asBytes,
          Buffer.from(request.buffer, request.byteOffset, request.byteLength),
          options.metadata,
          { deadline: Date.now() + options.timeoutMs },
          (error, response) => {
            options.signal.removeEventListener('abort', cancel);
            if (error) reject(error);
            else resolve(response as Buffer);
          },
        ),
      );
      const cancel = () => call.cancel();
      options.signal.addEventListener('abort', cancel, { once: true });
    });
  }

  /**
   * Opens a streaming call. For all kinds the wire is that of a bidirectional
   * stream: a caller sends one message and ends where the method takes one.
   * @throws the signal's reason when it has aborted.
   */
  open(rpcPath: string, options: UpstreamStreamOptions): UpstreamStream {
    const { metadata, timeoutMs, signal, endsExplicitly = false } = options;
    const { path } = this.#method(rpcPath);
    signal.throwIfAborted();
    if (endsExplicitly) announceExplicitEnd(metadata);
    const deadline = Date.now() + timeoutMs;
    const call = this.#streams.start((client) =>
      client.makeBidiStreamRequest(path, asBytes, asBytes, metadata, { deadline }),
    );
    return toUpstreamStream(call, signal, endsExplicitly);
  }

  close(): void {
    this.#shortCalls.close();
    this.#longCalls.close();
    this.#streams.close();
  }

  #method(rpcPath: string): MethodDefinition<unknown, unknown> {
    const method = this.#methods.get(rpcPath);
    if (!method) throw new Error(`the descriptor set has no method ${rpcPath}`);
    return method;
  }
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}

function loadMethods(descriptorSet: Buffer): Map<string, MethodDefinition<unknown, unknown>> {
  const definitions = Object.values(loadFileDescriptorSetFromBuffer(descriptorSet));
  const services = definitions.filter((definition) => !('format' in definition));
  const methods = services.flatMap((service) => Object.values(service)) as MethodDefinition<
    unknown,
    unknown
  >[];
  return new Map(methods.map((method) => [method.path, method]));
}
