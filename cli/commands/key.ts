/** `wrenn key`: API keys of the user's team. */
import type { Command } from 'commander';
import { ApiKey, CreateApiKeyResponse } from '../../gen/ts/wrenn/v1/api_key.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { formatAge } from '../output/age.js';
import { messageToJson } from '../output/message-json.js';
import { formatTable } from '../output/table.js';
import { withClient } from '../session.js';

export function addKeyCommands(program: Command, context: CommandContext): void {
  const key = program.command('key').description('API keys for sandbox work');
  key
    .command('create')
    .description('make a key; its secret is shown once')
    .argument('[name]', 'name that tells it from others')
    .option('--use', 'let the other commands use it even if one is stored already')
    .action((name: string | undefined, options: { use?: boolean }) =>
      createKey(context, name, options.use ?? false),
    );
  key
    .command('ls')
    .description('list the keys')
    .action(() => listKeys(context));
  key
    .command('rm')
    .description('revoke keys at once')
    .argument('<key_id...>', 'ids as wrenn key ls shows them')
    .action((ids: string[]) => removeKeys(context, ids));
}

async function createKey(
  { io, session: open }: CommandContext,
  name: string | undefined,
  use: boolean,
): Promise<void> {
  const session = open();
  await withClient(session, async (client, stored) => {
    const created = await client.apiKeys.create(name);
    const stores = use || stored.apiKey === undefined;
    if (stores) {
      const { key: apiKey, apiKey: row } = created;
      await session.store.update(session.address, { apiKey, apiKeyId: row?.apiKeyId });
    }
    if (session.json) {
      const json = messageToJson('wrenn.v1.CreateApiKeyResponse', CreateApiKeyResponse, created);
      printLine(io.stdout, JSON.stringify(json));
      return;
    }
    printLine(io.stdout, created.key);
    printLine(
      io.stderr,
      stores
        ? `stored in ${session.store.path}; it is not shown again`
        : 'it is not shown again; --use would have made it the stored one',
    );
  });
}

async function listKeys({ io, session: open }: CommandContext): Promise<void> {
  const session = open();
  await withClient(session, async (client, stored) => {
    const keys: ApiKey[] = [];
    for await (const key of client.apiKeys.list()) keys.push(key);
    if (session.json) {
      const list = keys.map((key) => messageToJson('wrenn.v1.ApiKey', ApiKey, key));
      printLine(io.stdout, JSON.stringify({ api_keys: list }));
      return;
    }
    const rows = keys.map((key) => [
      key.apiKeyId,
      key.name,
      `${key.keyPrefix}…`,
      formatAge(key.createdAt),
      formatAge(key.lastUsed),
      key.apiKeyId === stored.apiKeyId ? 'stored here' : '',
    ]);
    const columns = ['ID', 'NAME', 'PREFIX', 'CREATED', 'LAST USED', ''];
    for (const line of formatTable(columns, rows)) printLine(io.stdout, line);
  });
}

async function removeKeys({ io, session: open }: CommandContext, ids: string[]): Promise<void> {
  const session = open();
  await withClient(session, async (client, stored) => {
    for (const id of ids) {
      await client.apiKeys.delete(id);
      if (id === stored.apiKeyId) {
        await session.store.update(session.address, { apiKey: undefined, apiKeyId: undefined });
      }
      if (!session.json) printLine(io.stdout, id);
    }
    if (session.json) printLine(io.stdout, JSON.stringify({ api_key_ids: ids }));
  });
}
