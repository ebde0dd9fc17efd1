/**
 * The credentials that `wrenn auth` and `wrenn key create` store, by server
 * address, so that one server's secrets never go to another.
 *
 *     { "servers": { "127.0.0.1:7071": { "email": …, "accessToken": …, "apiKey": … } } }
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { CliError } from './failure.js';

const FILE_NAME = 'config.json';

/** What is known for one server. */
export interface ServerCredentials {
  email?: string;
  accessToken?: string;
  apiKeyId?: string;
  apiKey?: string;
}

export class CredentialStore {
  readonly path: string;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, FILE_NAME);
  }

  /** Empty when nothing is stored for the address. */
  async read(address: string): Promise<ServerCredentials> {
    const servers = await this.#load();
    return servers[normalize(address)] ?? {};
  }

  /** Changes what is stored for the address; a value of undefined is removed. */
  async update(
    address: string,
    change: { [K in keyof ServerCredentials]: ServerCredentials[K] | undefined },
  ): Promise<void> {
    const servers = await this.#load();
    servers[normalize(address)] = {
      ...servers[normalize(address)],
      ...change,
    } as ServerCredentials;
    await this.#save(servers);
  }

  /** Forgets an address. */
  async remove(address: string): Promise<void> {
    const { [normalize(address)]: _, ...servers } = await this.#load();
    await this.#save(servers);
  }

  async #load(): Promise<Record<string, ServerCredentials>> {
    try {
      const parsed: unknown = JSON.parse(await readFile(this.path, 'utf8'));
      return (parsed as { servers?: Record<string, ServerCredentials> }).servers ?? {};
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      if (!(error instanceof SyntaxError)) throw error;
      throw new CliError(
        `${this.path} is not valid JSON`,
        'mend it, or delete it and log in again',
      );
    }
  }

  async #save(servers: Record<string, ServerCredentials>): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await writeFileAtomic(this.path, `${JSON.stringify({ servers }, null, 2)}\n`, 0o600);
  }
}

/** `localhost` and its address are one server. */
function normalize(address: string): string {
  return address.replace(/^localhost:/, '127.0.0.1:');
}
