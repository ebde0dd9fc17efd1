/** JSON over one kept-alive HTTP connection, with as little work of its own as Node allows. */
import { Agent, request } from 'node:http';
import { json } from 'node:stream/consumers';

const CALL_TIMEOUT_MS = 60_000;

export class HttpClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #address: string;
  readonly #headers: Record<string, string>;

  /** @param address `host:port`. */
  constructor(address: string, apiKey: string) {
    this.#address = address;
    this.#headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
  }

  /** @returns the body of the answer. @throws Error for any status but 200. */
  get(path: string, signal: AbortSignal): Promise<unknown> {
    return this.#call('GET', path, '', signal);
  }

  /** @returns the body of the answer. @throws Error for any status but 200. */
  post(path: string, body: object, signal: AbortSignal): Promise<unknown> {
    return this.#call('POST', path, JSON.stringify(body), signal);
  }

  async #call(
    method: string,
    path: string,
    content: string,
    signal: AbortSignal,
  ): Promise<unknown> {
    const length = content === '' ? {} : { 'content-length': Buffer.byteLength(content) };
    return await new Promise((resolve, reject) => {
      const call = request(`http://${this.#address}${path}`, {
        method,
        agent: this.#agent,
        headers: { ...this.#headers, ...length },
        timeout: CALL_TIMEOUT_MS,
        signal,
      });
      call.once('timeout', () => call.destroy(new Error(`${path} did not answer`)));
      call.once('error', reject);
      call.once('response', (response) => {
        json(response).then((answer) => {
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${path}: ${response.statusCode} ${JSON.stringify(answer)}`));
        }, reject);
      });
      call.end(content);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
