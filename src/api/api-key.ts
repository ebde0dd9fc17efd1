/** ApiKeyService. */
import type { ApiKey, ApiKeyServiceService } from '../../gen/ts/wrenn/v1/api_key.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { ApiKeyOperations } from '../app/api-key.js';
import { nextPageToken, toPageRequest } from '../app/page-token.js';
import { userOf } from '../auth/principal.js';
import type { ApiKeyRecord } from '../store/api-key.js';
import type { PublicHandlers } from './handlers.js';

export function apiKeyHandlers(
  apiKeys: ApiKeyOperations,
): PublicHandlers<typeof ApiKeyServiceService> {
  return {
    createApiKey: async ({ principal }, { name }) => {
      const { apiKey, secret } = await apiKeys.create(userOf(principal), name);
      return { apiKey: toApiKey(apiKey), key: secret };
    },

    listApiKeys: async ({ principal }, request) => {
      const page = await apiKeys.list(userOf(principal), toPageRequest(request));
      return { apiKeys: page.items.map(toApiKey), nextPageToken: nextPageToken(page) };
    },

    deleteApiKey: async ({ principal }, { apiKeyId }) => {
      await apiKeys.delete(userOf(principal), apiKeyId);
      return {};
    },
  };
}

function toApiKey({ id, name, keyPrefix, createdAt, lastUsed }: ApiKeyRecord): ApiKey {
  return {
    apiKeyId: id,
    name,
    keyPrefix,
    createdAt: toTimestamp(createdAt.getTime()),
    lastUsed: lastUsed && toTimestamp(lastUsed.getTime()),
  };
}
