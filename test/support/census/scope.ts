/** Whose things a census counts. */

export interface CensusScope {
  /** Only what carries one of these ids in its name; left out: every instance's. */
  instanceIds?: readonly string[];
  /** Run, state and temporary folders; what lies in them, listens in them or names them counts. */
  directories?: readonly string[];
}

/** Names of what an instance has on the host: `wrenn-<id>…`, `wrenn_<id>`, `wv-<id>-…`, `wb-<id>`. */
const PREFIX = '(?:^|[^a-z0-9])(?:wrenn[-_]|wv-|wb-)';
const ANY_ID = '[a-z0-9]{4,6}';

export class ScopeFilter {
  readonly directories: readonly string[];
  readonly #name: RegExp;

  constructor({ instanceIds, directories = [] }: CensusScope) {
    const ids = instanceIds ? instanceIds.join('|') : ANY_ID;
    // Without any id nothing matches.
    const id = instanceIds?.length === 0 ? '(?!)' : `(?:${ids})`;
    this.#name = new RegExp(`${PREFIX}${id}(?![a-z0-9])`);
    this.directories = directories.map((path) => path.replace(/\/+$/, ''));
  }

  /** Whether a name, or a text that holds one, is an instance's of this scope. */
  hasName(text: string): boolean {
    return this.#name.test(text);
  }

  /** Whether a path is one of the folders, or lies in one. */
  hasPath(path: string): boolean {
    return this.directories.some((parent) => path === parent || path.startsWith(`${parent}/`));
  }

  /** Whether a text names one of the folders. */
  mentionsDirectory(text: string): boolean {
    return this.directories.some((path) => text.includes(path));
  }
}
