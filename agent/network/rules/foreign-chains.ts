/**
 * Ways through other programs' firewalls. Container engines and host firewalls
 * drop by default what they did not allow, and an accept in a table of ours
 * does not outweigh their drop. So our rules go to the top of each such chain,
 * marked with the instance's comment, by which they are found and removed.
 * They open nothing that our own table, which runs first, has dropped.
 *
 * Chains that appear later, because a container engine starts after the agent,
 * are seen at the agent's next start.
 */
import type { NetworkCommands } from '../commands.js';
import type { InstanceLayout } from '../layout.js';

interface Chain {
  family: string;
  table: string;
  name: string;
  hook?: string;
  policy?: string;
}

interface Rule {
  handle: number;
  comment?: string;
}

type Listing = { nftables?: { chain?: Chain; rule?: Rule }[] };

/** Statements that bring the chains that drop by default to our rules, and no chain to old ones. */
export async function openForeignChains(
  commands: NetworkCommands,
  layout: InstanceLayout,
): Promise<string[]> {
  const chains = await foreignChains(commands);
  const closed = chains.filter(({ policy }) => policy === 'drop');
  return [
    ...(await removals(commands, layout, chains)),
    ...closed.flatMap((chain) => insertions(chain, layout)),
  ];
}

/** Statements that remove this instance's rules from all other programs' chains. */
export async function leaveForeignChains(
  commands: NetworkCommands,
  layout: InstanceLayout,
): Promise<string[]> {
  return removals(commands, layout, await foreignChains(commands));
}

async function foreignChains(commands: NetworkCommands): Promise<Chain[]> {
  const { nftables = [] } = (await commands.nftQuery(['list', 'chains'])) as Listing;
  return nftables
    .flatMap(({ chain }) => (chain ? [chain] : []))
    .filter(({ family }) => family === 'ip' || family === 'inet')
    .filter(({ hook }) => hook === 'forward' || hook === 'input')
    .filter(({ table }) => !table.startsWith('wrenn_'));
}

async function removals(
  commands: NetworkCommands,
  layout: InstanceLayout,
  chains: Chain[],
): Promise<string[]> {
  const statements: string[] = [];
  for (const { family, table, name } of chains) {
    const listing = await commands.nftQuery(['-a', 'list', 'chain', family, table, name]);
    for (const { rule } of (listing as Listing).nftables ?? []) {
      if (rule?.comment !== layout.ruleComment) continue;
      statements.push(`delete rule ${family} ${table} ${name} handle ${rule.handle}`);
    }
  }
  return statements;
}

/** Plain matches by link, which also programs that manage their chains with iptables can read. */
function insertions({ family, table, name, hook }: Chain, layout: InstanceLayout): string[] {
  const directions = hook === 'input' ? ['iifname'] : ['iifname', 'oifname'];
  return directions.map(
    (direction) =>
      `insert rule ${family} ${table} ${name} ${direction} "${layout.linkPattern}" accept comment "${layout.ruleComment}"`,
  );
}
