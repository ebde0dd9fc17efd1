/** What of the host's network belongs to instances. */
import { readdir } from 'node:fs/promises';
import { RunError, run } from '../../../lib/process/run.js';
import type { ScopeFilter } from './scope.js';

const NAMESPACE_DIRECTORY = '/run/netns';

export async function namespaces(scope: ScopeFilter): Promise<string[]> {
  const names = await readdir(NAMESPACE_DIRECTORY).catch(() => []);
  return names.filter((name) => scope.hasName(name));
}

/** Links on the host, and all but the loopback in the instances' namespaces. */
export async function links(scope: ScopeFilter): Promise<string[]> {
  const onHost = (await linkNames([])).filter((name) => scope.hasName(name));
  const inside: string[] = [];
  for (const namespace of await namespaces(scope)) {
    const names = await linkNames(['-n', namespace]);
    inside.push(...names.filter((name) => name !== 'lo').map((name) => `${namespace}: ${name}`));
  }
  return [...onHost, ...inside];
}

async function linkNames(place: string[]): Promise<string[]> {
  const found = (await json('ip', [...place, '-j', 'link'])) as { ifname: string }[];
  return found.map(({ ifname }) => ifname);
}

/** Routes, in all tables, to an instance's links. */
export async function routes(scope: ScopeFilter): Promise<string[]> {
  const found: string[] = [];
  for (const family of ['-4', '-6']) {
    const listed = await json('ip', [family, '-j', 'route', 'show', 'table', 'all']);
    for (const { dst, dev, type } of listed as { dst: string; dev?: string; type?: string }[]) {
      if (dev && scope.hasName(dev)) found.push([type, dst, 'dev', dev].filter(Boolean).join(' '));
    }
  }
  return found;
}

interface RuleSet {
  nftables?: { table?: Table; rule?: Rule }[];
}
interface Table {
  family: string;
  name: string;
}
interface Rule {
  family: string;
  table: string;
  chain: string;
  comment?: string;
}

export async function nftTables(scope: ScopeFilter): Promise<string[]> {
  const { nftables = [] } = (await json('nft', ['-j', 'list', 'tables'])) as RuleSet;
  return nftables
    .flatMap(({ table }) => (table ? [table] : []))
    .filter(({ name }) => scope.hasName(name))
    .map(({ family, name }) => `${family} ${name}`);
}

/** Rules in other programs' tables that carry an instance's comment. */
export async function foreignRules(scope: ScopeFilter): Promise<string[]> {
  const { nftables = [] } = (await json('nft', ['-j', 'list', 'ruleset'])) as RuleSet;
  return nftables
    .flatMap(({ rule }) => (rule ? [rule] : []))
    .filter(({ comment = '' }) => scope.hasName(comment))
    .map(({ family, table, chain, comment }) => `${family} ${table} ${chain} "${comment}"`);
}

/** Output of a program as JSON; nothing where the program is missing or only root may ask. */
async function json(program: string, args: string[]): Promise<unknown> {
  try {
    const { stdout } = await run(program, args);
    return stdout.trim() === '' ? [] : JSON.parse(stdout);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    const namespaceGone = args[0] === '-n';
    const notAllowed = program === 'nft' && process.getuid?.() !== 0;
    if (error.code === 'ENOENT' || namespaceGone || notAllowed) return [];
    throw error;
  }
}
