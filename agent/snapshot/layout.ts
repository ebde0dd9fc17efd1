/** Where things lie in the folder of the store, and what names they may have. */
import { join } from 'node:path';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { RefKind } from './generation.js';

export const REF_KINDS: readonly RefKind[] = ['sandbox', 'snapshot', 'warm', 'fork'];

const GENERATION_ID = /^[a-z0-9]{8,64}$/;
/** Ids, and the keys of warm snapshots, which are hexadecimal. */
const REF_NAME = /^[a-z0-9]{8,64}$/;
const REF_FILE = /^([a-z]+)\.([a-z0-9]{8,64})\.json$/;
const BUILD_FILE = /^memfile\.([a-z0-9]{8,64})$/;

export const MANIFEST_FILE = 'manifest.json';
export const HEADER_FILE = 'memfile.header';
export const STATE_FILE = 'vmstate';
/** A hint for the next restore; it goes with the folder of its generation. */
export const WORKING_SET_FILE = 'working-set';
/** Memory of a generation that has no header. */
export const LEGACY_MEMORY_FILE = 'memfile';

export class Layout {
  readonly folder: string;
  readonly refs: string;
  readonly generations: string;
  readonly memory: string;
  readonly disks: string;

  constructor(folder: string) {
    this.folder = folder;
    this.refs = join(folder, 'refs');
    this.generations = join(folder, 'generations');
    this.memory = join(folder, 'memory');
    this.disks = join(folder, 'disks');
  }

  ref(kind: RefKind, name: string): string {
    if (!REF_KINDS.includes(kind) || !REF_NAME.test(name)) throw badName('a ref', name);
    return join(this.refs, `${kind}.${name}.json`);
  }

  generation(id: string): string {
    if (!isGenerationId(id)) throw badName('a generation', id);
    return join(this.generations, id);
  }

  manifest(id: string): string {
    return join(this.generation(id), MANIFEST_FILE);
  }

  header(id: string): string {
    return join(this.generation(id), HEADER_FILE);
  }

  state(id: string): string {
    return join(this.generation(id), STATE_FILE);
  }

  workingSet(id: string): string {
    return join(this.generation(id), WORKING_SET_FILE);
  }

  build(id: string): string {
    if (!isGenerationId(id)) throw badName('a file of memory', id);
    return join(this.memory, `${LEGACY_MEMORY_FILE}.${id}`);
  }

  /** Memory of a generation without header; as a build it has the generation's id. */
  legacyBuild(id: string): string {
    return join(this.generation(id), LEGACY_MEMORY_FILE);
  }
}

export function isGenerationId(name: string): boolean {
  return GENERATION_ID.test(name);
}

/** Kind and name of a ref by the name of its file. */
export function parseRefFile(fileName: string): { kind: RefKind; name: string } | undefined {
  const [, kind, name] = REF_FILE.exec(fileName) ?? [];
  const known = REF_KINDS.find((one) => one === kind);
  return known && name ? { kind: known, name } : undefined;
}

export function parseBuildFile(fileName: string): string | undefined {
  return BUILD_FILE.exec(fileName)?.[1];
}

function badName(what: string, name: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `not the name of ${what}`, {
    cause: new Error(JSON.stringify(name)),
  });
}
