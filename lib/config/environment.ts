/**
 * Reads configuration out of environment variables: typed, with defaults, and
 * strict. Only config.ts files pass `process.env` here; nothing else reads it.
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { Code, WrennError } from '../errors/index.js';
import { SETTING_NAMES } from './settings.js';

/** Variables that only tests, builds and the command line read. */
const FOREIGN_NAMES = new Set([
  'WRENN_TEST_REQUIRE',
  'WRENN_API_KEY',
  'WRENN_ADDRESS',
  'WRENN_CONFIG_DIR',
]);

export interface HostPort {
  host: string;
  port: number;
}

export class Environment {
  readonly #values: NodeJS.ProcessEnv;
  readonly #known = new Set<string>();

  constructor(values: NodeJS.ProcessEnv) {
    this.#values = values;
  }

  string(name: string, fallback: string): string {
    return this.optional(name) ?? fallback;
  }

  /** A path, made absolute and without a trailing slash, so that it can be compared. */
  path(name: string, fallback: string): string {
    return resolve(this.string(name, fallback));
  }

  /** The value, or undefined when it is absent or empty. */
  optional(name: string): string | undefined {
    this.#known.add(name);
    return this.#values[name] || undefined;
  }

  integer(name: string, fallback: number, range: { min: number; max: number }): number {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < range.min || value > range.max) {
      throw invalid(name, `must be a whole number from ${range.min} to ${range.max}`);
    }
    return value;
  }

  boolean(name: string, fallback: boolean): boolean {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    if (text === 'true' || text === '1') return true;
    if (text === 'false' || text === '0') return false;
    throw invalid(name, 'must be true or false');
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    if (!choices.includes(text as T)) throw invalid(name, `must be one of ${choices.join(', ')}`);
    return text as T;
  }

  /** `host:port`, with an address or `localhost` as host; port 0 takes any free one. */
  hostPort(name: string, fallback: string): HostPort {
    const text = this.optional(name) ?? fallback;
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (!host || (host !== 'localhost' && isIP(host) === 0) || port > 65_535) {
      throw invalid(name, 'must be an address and a port, such as 127.0.0.1:7070');
    }
    return { host, port };
  }

  /**
   * Call after all reads.
   * @throws WrennError for a WRENN_ variable that nothing reads, most likely misspelt.
   * @param alsoKnown names that other programs started with the same environment read.
   */
  rejectUnknown(alsoKnown: readonly string[] = SETTING_NAMES): void {
    for (const name of Object.keys(this.#values)) {
      if (!name.startsWith('WRENN_') || FOREIGN_NAMES.has(name)) continue;
      if (this.#known.has(name) || alsoKnown.includes(name)) continue;
      throw invalid(name, 'is not a setting of Wrenn');
    }
  }
}

function invalid(name: string, problem: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `${name} ${problem}`, {
    metadata: { setting: name },
  });
}
