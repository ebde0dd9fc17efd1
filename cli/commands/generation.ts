/** `wrenn sandbox generations` and `verify`: what a sandbox's memory and disk are made of. */
import type { Command } from 'commander';
import {
  ListGenerationsResponse,
  VerifyGenerationResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { formatAge } from '../output/age.js';
import { messageToJson } from '../output/message-json.js';
import { formatSize } from '../output/size.js';
import { formatTable } from '../output/table.js';
import { withClient } from '../session.js';
import { forEach } from './each.js';

export function addGenerationCommands(sandbox: Command, context: CommandContext): void {
  sandbox
    .command('generations')
    .description('list what its memory and disk are made of, oldest first')
    .argument('<sandbox_id>', 'sandbox')
    .action((id: string) => listGenerations(context, id));
  sandbox
    .command('verify')
    .description('compare the newest generation of sandboxes with its checksums')
    .argument('<sandbox_id...>', 'ids as wrenn sandbox ls shows them')
    .action((ids: string[]) =>
      forEach(context, ids, async (client, id) => {
        const verified = await client.sandboxes.verifyGeneration(id);
        const type = 'wrenn.v1.VerifyGenerationResponse';
        return {
          line: `${verified.generationId} is right: ${formatSize(verified.verifiedBytes)}`,
          json: messageToJson(type, VerifyGenerationResponse, verified),
        };
      }),
    );
}

async function listGenerations(
  { io, session: open }: CommandContext,
  sandboxId: string,
): Promise<void> {
  const session = open();
  const generations = await withClient(session, (client) =>
    client.sandboxes.generations(sandboxId),
  );
  if (session.json) {
    const type = 'wrenn.v1.ListGenerationsResponse';
    const json = messageToJson(type, ListGenerationsResponse, { generations });
    printLine(io.stdout, JSON.stringify(json));
    return;
  }
  const rows = generations.map((generation) => [
    generation.generationId,
    formatAge(generation.createdAt),
    formatSize(generation.memoryBytes),
    formatSize(generation.diskBytes),
  ]);
  const lines = formatTable(['ID', 'CREATED', 'MEMORY', 'DISK'], rows);
  for (const line of lines) printLine(io.stdout, line);
}
