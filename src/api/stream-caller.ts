/** Who opens a stream, as the operations want to know it. */
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { StreamCaller } from '../app/open-streams.js';
import { apiKeyOf, type Principal, teamOf } from '../auth/principal.js';

export function streamCaller({ principal, signal }: CallContext<Principal>): StreamCaller {
  return { teamId: teamOf(principal), apiKeyId: apiKeyOf(principal), signal };
}
