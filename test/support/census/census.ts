/**
 * A census of everything that Wrenn can leave behind on a machine. Take one
 * before and one after; what is in the second only has leaked:
 *
 *     const before = await takeCensus(scope);
 *     …
 *     await eventually(async () => expectNoLeaks(before, await takeCensus(scope)));
 *
 * Always name the instance and the folders of the test, since other instances
 * may run on the machine. The kernel takes some things down in its own time,
 * hence the `eventually`.
 */
import { AssertionError } from 'chai';
import { files, ledgerEntries, mounts } from './files.js';
import { diskLayers, generations, memoryBuilds, refs } from './kept.js';
import { foreignRules, links, namespaces, nftTables, routes } from './network.js';
import { cgroups, faultDescriptors, ports, processes, unixSockets } from './processes.js';
import { type CensusScope, ScopeFilter } from './scope.js';

export type { CensusScope } from './scope.js';

const KINDS = {
  namespace: namespaces,
  link: links,
  route: routes,
  'nft table': nftTables,
  'foreign rule': foreignRules,
  process: processes,
  cgroup: cgroups,
  'unix socket': unixSockets,
  'fault descriptor': faultDescriptors,
  port: ports,
  'ledger entry': ledgerEntries,
  ref: refs,
  generation: generations,
  'memory build': memoryBuilds,
  'disk layer': diskLayers,
  file: files,
  mount: mounts,
} as const;

export type CensusKind = keyof typeof KINDS;
export const CENSUS_KINDS = Object.keys(KINDS) as CensusKind[];

/** What is kept while no process runs. */
export const KEPT_KINDS: readonly CensusKind[] = [
  'ref',
  'generation',
  'memory build',
  'disk layer',
  'file',
];

/** Of each kind, one line for each thing found. */
export type Census = Readonly<Record<CensusKind, readonly string[]>>;

export async function takeCensus(scope: CensusScope): Promise<Census> {
  const filter = new ScopeFilter(scope);
  const census: Partial<Record<CensusKind, string[]>> = {};
  for (const kind of CENSUS_KINDS) census[kind] = (await KINDS[kind](filter)).sort();
  return census as Census;
}

/** @throws AssertionError naming everything of `after` that is not in `before`, by kind. */
export function expectNoLeaks(before: Census, after: Census): void {
  const leaks = difference(after, before, '+');
  if (leaks.length > 0) fail('left behind', leaks);
}

/** @throws AssertionError naming everything that came or went, by kind. */
export function expectUnchanged(before: Census, after: Census): void {
  const changes = [...difference(after, before, '+'), ...difference(before, after, '-')];
  if (changes.length > 0) fail('changed', changes);
}

/** What leaked, of each kind that has any. */
export function leaksBetween(
  before: Census,
  after: Census,
): Partial<Record<CensusKind, readonly string[]>> {
  const leaks: Partial<Record<CensusKind, readonly string[]>> = {};
  for (const kind of CENSUS_KINDS) {
    const found = without(after[kind], before[kind]);
    if (found.length > 0) leaks[kind] = found;
  }
  return leaks;
}

function difference(census: Census, other: Census, sign: string): string[] {
  return Object.entries(leaksBetween(other, census)).flatMap(([kind, lines]) => [
    `  ${kind}`,
    ...lines.map((line) => `    ${sign} ${line}`),
  ]);
}

/** Lines of `list` that `other` lacks; a line that is there twice must be there twice. */
function without(list: readonly string[], other: readonly string[]): string[] {
  const rest = [...other];
  return list.filter((line) => {
    const place = rest.indexOf(line);
    if (place >= 0) rest.splice(place, 1);
    return place < 0;
  });
}

function fail(what: string, lines: string[]): never {
  throw new AssertionError(`${what}:\n${lines.join('\n')}`);
}
