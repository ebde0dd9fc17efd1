/** Commands for a GuestClient, with what a test does not care about filled in. */
import type { GuestCommand } from '../../agent/guest/guest-client.js';

export function guestCommand(
  cmd: string,
  args: string[] = [],
  fields: Partial<GuestCommand> = {},
): GuestCommand {
  const rest = { env: {}, cwd: '', user: '', stdin: Buffer.alloc(0), timeoutSec: 20 };
  return { cmd, args, ...rest, ...fields };
}
