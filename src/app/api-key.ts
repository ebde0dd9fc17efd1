/** The API keys of a user's default team. */

import { Code, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { apiKeyPrefix, generateApiKeySecret, hashApiKeySecret } from '../auth/api-key-secret.js';
import type { ApiKeyVerifier } from '../auth/api-key-verifier.js';
import type { ApiKeyRecord, ApiKeyStore } from '../store/api-key.js';
import type { Page, PageRequest } from '../store/page.js';
import type { Membership } from '../store/user.js';
import type { OpenStreams } from './open-streams.js';

const NAME_DEFAULT = 'default';

export class ApiKeyOperations {
  readonly #store: ApiKeyStore;
  readonly #verifier: ApiKeyVerifier;
  readonly #streams: OpenStreams;

  constructor(store: ApiKeyStore, verifier: ApiKeyVerifier, streams: OpenStreams) {
    this.#store = store;
    this.#verifier = verifier;
    this.#streams = streams;
  }

  /** Makes a key; its secret is in the answer and nowhere else. @throws API_KEY_LIMIT */
  async create(
    { user, team }: Membership,
    name: string,
  ): Promise<{ apiKey: ApiKeyRecord; secret: string }> {
    const secret = generateApiKeySecret();
    const apiKey = await this.#store.create({
      id: randomId(),
      teamId: team.id,
      name: name.trim() || NAME_DEFAULT,
      keyHash: hashApiKeySecret(secret),
      keyPrefix: apiKeyPrefix(secret),
      createdBy: user.id,
    });
    return { apiKey, secret };
  }

  async list({ team }: Membership, page: PageRequest): Promise<Page<ApiKeyRecord>> {
    return this.#store.list(team.id, page);
  }

  /** Deletes a key and ends the streams that were opened with it. @throws API_KEY_NOT_FOUND */
  async delete({ team }: Membership, apiKeyId: string): Promise<void> {
    const keyHash = await this.#store.delete(team.id, apiKeyId);
    if (!keyHash) {
      throw new WrennError(
        Code.NOT_FOUND,
        'API_KEY_NOT_FOUND',
        'the team has no API key with this id',
        { metadata: { api_key_id: apiKeyId } },
      );
    }
    this.#verifier.forget(keyHash);
    this.#streams.revoke(apiKeyId);
  }
}
