/**
 * The ledger: what this host owns, on disk, so that an agent that was killed
 * finds it again. A sandbox's entry is written *before* each thing is acquired
 * and after each is freed; what no entry holds is nobody's and is swept.
 *
 * One file for each sandbox, `<run folder>/ledger/<sandbox id>.json`, written
 * atomically, at most ENTRY_BYTES_MAX, mode 0600 (it holds the guest's token):
 *
 *     { "format": "wrenn-ledger", "version": 1, "entry": { … } }
 *
 * The folder lies in /run: it ends with the boot, as what it lists does.
 */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeFileAtomic } from '../../lib/files/atomic-write.js';
import type { LedgerEntry } from './entry.js';

export const LEDGER_FORMAT = 'wrenn-ledger';
export const LEDGER_VERSION = 1;
/** A larger file is not ours; an entry takes about 2 KiB. */
export const ENTRY_BYTES_MAX = 1024 * 1024;

const FILE_NAME = /^([a-z0-9]{8,64})\.json$/;

export interface LedgerContent {
  entries: LedgerEntry[];
  /** Files that could not be read. What they hold is unknown, so nothing may be swept. */
  unreadable: { path: string; cause: unknown }[];
}

export class Ledger {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the ledger's folder. */
  static async open(directory: string): Promise<Ledger> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new Ledger(directory);
  }

  /** Writes an entry; it is durable when this resolves. */
  async put(entry: LedgerEntry): Promise<void> {
    const content = JSON.stringify({ format: LEDGER_FORMAT, version: LEDGER_VERSION, entry });
    await writeFileAtomic(this.#path(entry.sandboxId), content);
  }

  /** Removes an entry. Idempotent. */
  async remove(sandboxId: string): Promise<void> {
    await rm(this.#path(sandboxId), { force: true });
    await syncDirectory(this.directory);
  }

  /** Reads all entries, and drops what a crash left of unfinished writes. */
  async read(): Promise<LedgerContent> {
    const content: LedgerContent = { entries: [], unreadable: [] };
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name);
      if (name.endsWith('.tmp')) await rm(path, { force: true });
      else await this.#readInto(content, name, path);
    }
    return content;
  }

  async #readInto(content: LedgerContent, name: string, path: string): Promise<void> {
    try {
      const sandboxId = FILE_NAME.exec(name)?.[1];
      if (!sandboxId) throw new Error('not the name of an entry');
      if ((await stat(path)).size > ENTRY_BYTES_MAX) throw new Error('larger than an entry may be');
      content.entries.push(parse(await readFile(path, 'utf8'), sandboxId));
    } catch (cause) {
      content.unreadable.push({ path, cause });
    }
  }

  #path(sandboxId: string): string {
    return join(this.directory, `${sandboxId}.json`);
  }
}

function parse(text: string, sandboxId: string): LedgerEntry {
  const file = JSON.parse(text) as { format?: unknown; version?: unknown; entry?: LedgerEntry };
  if (file.format !== LEDGER_FORMAT) throw new Error('not a ledger entry');
  if (file.version !== LEDGER_VERSION) throw new Error(`version ${file.version} is not known`);
  if (file.entry?.sandboxId !== sandboxId) throw new Error('the entry has another sandbox id');
  return file.entry;
}
