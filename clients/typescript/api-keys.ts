import {
  type ApiKey,
  type CreateApiKeyResponse,
  ListApiKeysRequest,
  type ListApiKeysResponse,
  ApiKeyServiceService as Service,
} from '../../gen/ts/wrenn/v1/api_key.js';
import type { CallOptions, Connection } from './connection.js';
import { eachOfPages, type PageOptions } from './pages.js';

/** API keys of the user's default team. The client needs an access token. */
export class ApiKeys {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Makes a key. The answer is the only one that holds the secret, in `key`. */
  create(name = '', options?: CallOptions): Promise<CreateApiKeyResponse> {
    return this.#connection.call(Service.createApiKey, { name }, options);
  }

  /** One page of keys, newest first, without their secrets. */
  listPage(page: PageOptions = {}, options?: CallOptions): Promise<ListApiKeysResponse> {
    return this.#connection.call(
      Service.listApiKeys,
      ListApiKeysRequest.fromPartial(page),
      options,
    );
  }

  /** All keys, newest first, fetched page by page. */
  list(options?: CallOptions): AsyncIterable<ApiKey> {
    return eachOfPages(async (pageToken) => {
      const page = await this.listPage({ pageToken }, options);
      return { items: page.apiKeys, nextPageToken: page.nextPageToken };
    });
  }

  /** Revokes a key at once. */
  async delete(apiKeyId: string, options?: CallOptions): Promise<void> {
    await this.#connection.call(Service.deleteApiKey, { apiKeyId }, options);
  }
}
