/** The host's name servers, as /etc/resolv.conf names them at the moment. */
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';

export const RESOLV_CONF_PATH = '/etc/resolv.conf';
/** More are ignored, as the C library does. */
export const RESOLVERS_MAX = 3;
/** How long a changed file may go unnoticed. */
export const RECHECK_INTERVAL_MS = 500;
const DEFAULT_PORT = 53;

export interface Resolver {
  address: string;
  port: number;
}

/**
 * Reads the `nameserver` lines. Without any, or without the file, it is the
 * host itself, which is what the C library does.
 */
export async function readResolvers(path: string, port = DEFAULT_PORT): Promise<Resolver[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return parseResolvers(text, port);
}

export function parseResolvers(text: string, port = DEFAULT_PORT): Resolver[] {
  const addresses = text
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((address) => isIP(address) !== 0)
    .slice(0, RESOLVERS_MAX);
  return (addresses.length > 0 ? addresses : ['127.0.0.1']).map((address) => ({
    address,
    port,
  }));
}

/** The same list, read again when the file has changed. */
export class HostResolvers {
  readonly #path: string;
  readonly #port: number | undefined;
  #resolvers: Resolver[] = [];
  #version = '';
  #checkedAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, port?: number) {
    this.#path = path;
    this.#port = port;
  }

  async list(): Promise<readonly Resolver[]> {
    const nowMs = performance.now();
    if (nowMs - this.#checkedAtMs < RECHECK_INTERVAL_MS) return this.#resolvers;
    const version = await versionOf(this.#path);
    if (version !== this.#version) this.#resolvers = await readResolvers(this.#path, this.#port);
    this.#version = version;
    this.#checkedAtMs = nowMs;
    return this.#resolvers;
  }
}

async function versionOf(path: string): Promise<string> {
  const status = await stat(path).catch(() => undefined);
  return status ? `${status.ino} ${status.size} ${status.mtimeMs}` : 'absent';
}
