/** `wrenn sandbox pause` and `resume`. */
import type { Command } from 'commander';
import { ResumeSandboxResponse } from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CommandContext } from '../command-context.js';
import { messageToJson } from '../output/message-json.js';
import { sandboxToJson } from '../output/sandbox.js';
import { forEach } from './each.js';

export function addPauseCommands(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('pause')
    .description('keep memory and disk of sandboxes, and free everything else')
    .argument('<sandbox_id...>', 'ids as wrenn sandbox ls shows them')
    .action((ids: string[]) =>
      forEach(context, ids, async (client, id) => {
        const paused = await client.sandboxes.pause(id);
        return { line: paused.sandboxId, json: sandboxToJson(paused) };
      }),
    );
  sandbox
    .command('resume')
    .description('bring paused sandboxes back to where they stopped')
    .argument('<sandbox_id...>', 'ids as wrenn sandbox ls shows them')
    .option('--cold', 'boot them from their disks, without their memory')
    .action((ids: string[], { cold = false }: { cold?: boolean }) =>
      forEach(context, ids, async (client, id) => {
        const resumed = await client.sandboxes.resume(id, { cold });
        const type = 'wrenn.v1.ResumeSandboxResponse';
        return { line: id, json: messageToJson(type, ResumeSandboxResponse, resumed) };
      }),
    );
}
