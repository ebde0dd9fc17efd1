/** Unpacked Debian packages, each fetched once for a build and kept for the next one. */
import { ensureLists, updateLists } from './apt.js';
import { type DebianPackage, findPackage, unpackPackage } from './package.js';

export interface UnpackedPackage {
  name: string;
  version: string;
  /** Folder with the package's files. */
  directory: string;
}

export type PackageId = Pick<DebianPackage, 'name' | 'version'>;
export type OnFraction = (fraction: number) => void;

export class PackageCache {
  readonly #directory: string;
  readonly #fetchLists: () => Promise<void>;
  readonly #unpacked = new Map<string, Promise<UnpackedPackage>>();
  #lists: Promise<void> | undefined;

  /** @param refresh fetches the package lists even when the machine has some. */
  constructor(directory: string, refresh: boolean) {
    this.#directory = directory;
    this.#fetchLists = refresh ? updateLists : ensureLists;
  }

  /** Resolves when the host has package lists. */
  async ready(): Promise<void> {
    this.#lists ??= this.#fetchLists();
    await this.#lists;
  }

  /** The candidate of a package. */
  async find(name: string): Promise<DebianPackage> {
    await this.ready();
    return await findPackage(name);
  }

  /**
   * The files of the newest version of a package.
   * @param resolve says which one that is, where it is not the candidate of that name.
   */
  async newest(
    name: string,
    resolve: () => Promise<PackageId> = () => this.find(name),
    onFraction?: OnFraction,
  ): Promise<UnpackedPackage> {
    return await this.#once(name, async () => {
      try {
        return await this.#fetch(await resolve(), onFraction);
      } catch {
        // Old lists name versions that mirrors have dropped since.
        await updateLists();
        return await this.#fetch(await resolve(), onFraction);
      }
    });
  }

  /** The files of exactly this version of a package. */
  async exactly(name: string, version: string): Promise<UnpackedPackage> {
    return await this.#once(`${name}=${version}`, async () => {
      await this.ready();
      return await this.#fetch({ name, version });
    });
  }

  async #fetch({ name, version }: PackageId, onFraction?: OnFraction): Promise<UnpackedPackage> {
    const directory = await unpackPackage({ name, version }, this.#directory, onFraction);
    return { name, version, directory };
  }

  /** Two builders that want the same package at the same time share one download. */
  #once(key: string, fetch: () => Promise<UnpackedPackage>): Promise<UnpackedPackage> {
    const known = this.#unpacked.get(key);
    if (known) return known;
    const started = fetch();
    this.#unpacked.set(key, started);
    return started;
  }
}
