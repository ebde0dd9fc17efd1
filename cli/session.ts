/** What a command that calls the API has at hand: address, credentials, output. */
import { WrennClient } from '../clients/typescript/index.js';
import { type ClientConfig, readClientConfig } from './config.js';
import { CredentialStore, type ServerCredentials } from './credentials.js';
import type { CliIo } from './io.js';

/** Options that every command takes. */
export interface GlobalOptions {
  json?: boolean;
  address?: string;
}

export interface Session {
  readonly io: CliIo;
  readonly json: boolean;
  readonly address: string;
  readonly store: CredentialStore;
  /** API key of the environment, which goes before a stored one. */
  readonly apiKey: string | undefined;
}

export function openSession(
  io: CliIo,
  options: GlobalOptions,
  config: ClientConfig = readClientConfig(io.environment),
): Session {
  return {
    io,
    json: options.json ?? false,
    address: options.address ?? config.address,
    store: new CredentialStore(config.configDirectory),
    apiKey: config.apiKey,
  };
}

/** Calls the API with the credentials at hand and ends the connection afterwards. */
export async function withClient<T>(
  session: Session,
  use: (client: WrennClient, stored: ServerCredentials) => Promise<T>,
): Promise<T> {
  const stored = await session.store.read(session.address);
  using client = new WrennClient({
    address: session.address,
    apiKey: session.apiKey ?? stored.apiKey,
    accessToken: stored.accessToken,
  });
  return await use(client, stored);
}
