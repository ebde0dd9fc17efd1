/** What lies in the folders of a scope, and what is mounted there. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScopeFilter } from './scope.js';

/** Name of the folder in which an agent keeps its ledger. */
const LEDGER_FOLDER = 'ledger';

/** Files and folders, without the ledger's entries. */
export async function files(scope: ScopeFilter): Promise<string[]> {
  return (await everything(scope)).filter((path) => !isLedgerEntry(path));
}

export async function ledgerEntries(scope: ScopeFilter): Promise<string[]> {
  return (await everything(scope)).filter(isLedgerEntry);
}

/** Mounts in the folders, and the mounts by which network namespaces have names. */
export async function mounts(scope: ScopeFilter): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map((line) => unescapeSpaces(line.split(' ')[4] ?? ''))
    .filter((path) => scope.hasPath(path) || isNamespaceOf(path, scope));
}

function isNamespaceOf(path: string, scope: ScopeFilter): boolean {
  return path.startsWith('/run/netns/') && scope.hasName(path);
}

async function everything(scope: ScopeFilter): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
      const path = join(folder, entry.name);
      found.push(entry.isDirectory() ? `${path}/` : path);
      if (entry.isDirectory()) await visit(path);
    }
  };
  for (const directory of scope.directories) await visit(directory);
  return found;
}

function isLedgerEntry(path: string): boolean {
  return path.includes(`/${LEDGER_FOLDER}/`) && !path.endsWith('/');
}

/** The kernel writes a space in a path as \040. */
function unescapeSpaces(text: string): string {
  return text.replace(/\\040/g, ' ');
}
