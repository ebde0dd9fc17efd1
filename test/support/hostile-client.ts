/** The agent's client of a guest that answers whatever a test wants. */
import { GuestClient } from '../../agent/guest/guest-client.js';
import { Code } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { type HostileAnswers, hostileGuest } from './hostile-guest.js';

/** Time limits that a test can wait for. */
const LIMITS = { fileTimeoutMs: 500, processTimeoutMs: 500 };

/** What becomes of a call whose guest breaks the contract. */
export const UNREACHABLE = { code: Code.UNAVAILABLE, reason: 'GUEST_UNREACHABLE' } as const;

/** Lets a test use a client of such a guest, and closes both. */
export async function withHostileGuest<T>(
  answers: HostileAnswers,
  use: (client: GuestClient) => Promise<T>,
): Promise<T> {
  await using running = await hostileGuest(answers);
  const options = { target: running.target, token: 'token-of-a-test', log: silentLog };
  const client = new GuestClient({ ...options, limits: LIMITS });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** Takes a stream to its end. */
export async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** What a call throws, as it is. @throws Error when it succeeds. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the call succeeded');
}
