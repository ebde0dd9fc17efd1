/** Calls any method with any bytes over gRPC. */

import type { DescMethod } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { STATUS_DETAILS_KEY } from '../../../lib/errors/index.js';
import { type Outcome, outcomeOfStatus, WENT_WELL } from './outcome.js';
import { rpcPath } from './targets.js';

const CALL_TIMEOUT_MS = 20_000;
/** A channel carries 250 calls at once. */
const OWN_CONNECTION = { 'grpc.use_local_subchannel_pool': 1 };

const asIs = (bytes: Buffer) => bytes;

export class GrpcCaller {
  readonly #client: Client;
  #sent = 0;

  /** @param address a gRPC target. */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), OWN_CONNECTION);
  }

  /** Requests so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends one message, and no more. A stream that has answered once is called off. */
  call(method: DescMethod, message: Buffer, headers: Record<string, string>): Promise<Outcome> {
    this.#sent += 1;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS };
    const path = rpcPath(method);
    return new Promise((resolve) => {
      const answered = (error: ServiceError | null) =>
        resolve(error ? outcomeOf(error) : WENT_WELL);
      switch (method.methodKind) {
        case 'unary':
          this.#client.makeUnaryRequest(path, asIs, asIs, message, metadata, options, answered);
          return;
        case 'client_streaming': {
          const call = this.#client.makeClientStreamRequest(
            path,
            asIs,
            asIs,
            metadata,
            options,
            answered,
          );
          call.write(message);
          call.end();
          return;
        }
        case 'server_streaming':
          firstOf(
            this.#client.makeServerStreamRequest(path, asIs, asIs, message, metadata, options),
            resolve,
          );
          return;
        case 'bidi_streaming': {
          const call = this.#client.makeBidiStreamRequest(path, asIs, asIs, metadata, options);
          firstOf(call, resolve);
          call.write(message);
          call.end();
        }
      }
    });
  }

  close(): void {
    this.#client.close();
  }
}

interface Answers {
  on(event: 'data' | 'end', listener: () => void): unknown;
  on(event: 'error', listener: (error: ServiceError) => void): unknown;
  cancel(): void;
}

function firstOf(call: Answers, resolve: (outcome: Outcome) => void): void {
  call.on('data', () => {
    resolve(WENT_WELL);
    call.cancel();
  });
  call.on('error', (error) => resolve(outcomeOf(error)));
  call.on('end', () => resolve(WENT_WELL));
}

function outcomeOf({ code, details, metadata }: ServiceError): Outcome {
  const bytes = metadata.get(STATUS_DETAILS_KEY)[0];
  if (Buffer.isBuffer(bytes)) return outcomeOfStatus(bytes);
  return { ...WENT_WELL, code: code ?? status.UNKNOWN, message: details };
}
