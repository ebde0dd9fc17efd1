/** `wrenn sandbox ping` and `timeout`: what happens to a sandbox that nobody uses. */
import { type Command, InvalidArgumentError } from 'commander';
import { TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CommandContext } from '../command-context.js';
import { formatTimeout, sandboxToJson } from '../output/sandbox.js';
import { forEach } from './each.js';
import { parseWholeNumber } from './options.js';

const ACTIONS: Readonly<Record<string, TimeoutAction>> = {
  delete: TimeoutAction.TIMEOUT_ACTION_DELETE,
  pause: TimeoutAction.TIMEOUT_ACTION_PAUSE,
};

/** `delete` or `pause`. */
export function parseTimeoutAction(text: string): TimeoutAction {
  const action = ACTIONS[text];
  if (action === undefined) throw new InvalidArgumentError('Give delete or pause.');
  return action;
}

export function addTimeoutCommands(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('ping')
    .description('count as activity: start the timeout anew')
    .argument('<sandbox_id...>', 'ids as wrenn sandbox ls shows them')
    .action((ids: string[]) =>
      forEach(context, ids, async (client, id) => {
        const pinged = await client.sandboxes.ping(id);
        return { line: pinged.sandboxId, json: sandboxToJson(pinged) };
      }),
    );
  sandbox
    .command('timeout')
    .description('change how long a sandbox may be unused, and start that time anew')
    .argument('<sandbox_id>', 'sandbox')
    .argument('<seconds>', 'seconds without activity; 0 means for ever', parseWholeNumber)
    .option('--on-timeout <delete|pause>', 'what happens then', parseTimeoutAction)
    .action((id: string, seconds: number, { onTimeout }: { onTimeout?: TimeoutAction }) =>
      forEach(context, [id], async (client) => {
        const changed = await client.sandboxes.setTimeout(id, seconds, onTimeout);
        return { line: formatTimeout(changed), json: sandboxToJson(changed) };
      }),
    );
}
