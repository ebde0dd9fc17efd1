/** Calls any route with any text over HTTP, on connections that stay open. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { fromJsonString, toBinary } from '@bufbuild/protobuf';
import { Code } from '../../../lib/errors/index.js';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import { type Outcome, outcomeOfStatus, WENT_WELL } from './outcome.js';

const CALL_TIMEOUT_MS = 20_000;
/** Connections at once. */
export const CONNECTIONS_MAX = 32;

export interface HttpCall {
  method: string;
  /** Path and query, as they go out. */
  target: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

export class HttpCaller {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });
  #sent = 0;

  constructor(port: number) {
    this.#port = port;
  }

  get sent(): number {
    return this.#sent;
  }

  /** A stream that has begun is called off. */
  call({ method, target: path, headers = {}, body }: HttpCall): Promise<Outcome> {
    this.#sent += 1;
    return new Promise((resolve, reject) => {
      const outgoing = request({
        ...{ host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path },
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
        timeout: CALL_TIMEOUT_MS,
      });
      const failed = (error: Error) =>
        reject(new Error(`${method} ${path.slice(0, 200)}`, { cause: error }));
      outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
      outgoing.on('error', failed);
      outgoing.on('response', (response) => {
        outcomeOf(response).then(resolve, failed);
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function outcomeOf(response: IncomingMessage): Promise<Outcome> {
  const { statusCode = 0, headers } = response;
  if (statusCode < 300 && isStream(headers)) {
    response.destroy();
    return { ...WENT_WELL, httpStatus: statusCode };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  if (statusCode < 300) return { ...WENT_WELL, httpStatus: statusCode };
  return outcomeOfJson(Buffer.concat(chunks).toString(), statusCode);
}

function isStream(headers: IncomingMessage['headers']): boolean {
  return headers['content-length'] === undefined;
}

/** Out of the JSON of a google.rpc.Status; one that is none has no reason. */
export function outcomeOfJson(text: string, httpStatus: number): Outcome {
  const { registry } = descriptors();
  const descriptor = registry.getMessage('google.rpc.Status');
  if (!descriptor) throw new Error('the descriptor set has no google.rpc.Status');
  try {
    const status = fromJsonString(descriptor, text, { registry });
    return outcomeOfStatus(toBinary(descriptor, status), httpStatus);
  } catch {
    const message = `HTTP ${httpStatus} with no google.rpc.Status: ${text.slice(0, 200)}`;
    return { ...WENT_WELL, code: Code.UNKNOWN, message, httpStatus };
  }
}
