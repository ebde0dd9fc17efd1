/**
 * Runs of blocks, packed as native/addon/binding.ts says: how to read them, to
 * check them, and to write them in their shortest form.
 */
import { RUN_FIELDS, SOURCE_INHERIT, SOURCE_ZERO } from '../../native/addon/binding.js';

/** Bytes of one block of a guest's memory. */
export const BLOCK_BYTES = 4096;
/** Largest memory of a guest. */
export const MEMORY_BYTES_MAX = 64 * 1024 ** 3;
/** Most blocks of a memory; also most runs, since a run has at least one block. */
export const BLOCKS_MAX = MEMORY_BYTES_MAX / BLOCK_BYTES;

const RUNS_CAPACITY_AT_FIRST = 64;

/** Consecutive blocks of the same source. */
export interface Run {
  first: number;
  count: number;
  /** Index of a build, SOURCE_ZERO, or in a diff SOURCE_INHERIT. */
  source: number;
  /** Where the blocks lie in the source; 0 when it is no file. */
  sourceFirst: number;
}

/** What sources may stand in a list of runs. */
export interface SourcesAllowed {
  files: number;
  inherit: boolean;
}

/** Whether the blocks of a source lie in a file. */
export function isStored(source: number): boolean {
  return source !== SOURCE_ZERO && source !== SOURCE_INHERIT;
}

/** How many runs there are. */
export function runCount(runs: Uint32Array): number {
  return runs.length / RUN_FIELDS;
}

/** @throws RangeError when there is no such run. */
export function runAt(runs: Uint32Array, index: number): Run {
  const at = index * RUN_FIELDS;
  const first = runs[at];
  const count = runs[at + 1];
  const source = runs[at + 2];
  const sourceFirst = runs[at + 3];
  if (
    first === undefined ||
    count === undefined ||
    source === undefined ||
    sourceFirst === undefined
  )
    throw new RangeError(`there is no run ${index}`);
  return { first, count, source, sourceFirst };
}

/** The runs in order of address. */
export function* eachRun(runs: Uint32Array): Generator<Run, void, undefined> {
  for (let index = 0; index < runCount(runs); index++) yield runAt(runs, index);
}

/** How many blocks lie in files. */
export function storedBlocks(runs: Uint32Array): number {
  let blocks = 0;
  for (const { source, count } of eachRun(runs)) if (isStored(source)) blocks += count;
  return blocks;
}

/** What is wrong with runs that shall describe all of a memory; undefined when nothing is. */
export function problemOfRuns(
  runs: Uint32Array,
  blockCount: number,
  allowed: SourcesAllowed,
): string | undefined {
  if (runs.length % RUN_FIELDS !== 0) return 'a run is cut off';
  let next = 0;
  for (const run of eachRun(runs)) {
    if (run.first !== next) return `run at block ${run.first} instead of ${next}`;
    if (run.count === 0) return `empty run at block ${run.first}`;
    // Numbers of 32 bits each: sums are exact, and compared before they are used.
    next = run.first + run.count;
    if (next > blockCount) return `run beyond the memory at block ${run.first}`;
    const problem = problemOfSource(run, allowed);
    if (problem) return problem;
  }
  return next === blockCount ? undefined : `runs end at block ${next} of ${blockCount}`;
}

function problemOfSource(run: Run, allowed: SourcesAllowed): string | undefined {
  if (!isStored(run.source)) {
    if (run.source === SOURCE_INHERIT && !allowed.inherit) return 'a run of no known source';
    return run.sourceFirst === 0 ? undefined : 'a run without file that lies in a file';
  }
  if (run.source >= allowed.files) return `run of source ${run.source} of ${allowed.files}`;
  return run.sourceFirst + run.count > BLOCKS_MAX ? 'run beyond the largest file' : undefined;
}

/** Collects runs in order of address and joins those that continue each other. */
export class RunWriter {
  #words = new Uint32Array(RUNS_CAPACITY_AT_FIRST * RUN_FIELDS);
  #length = 0;

  append(first: number, count: number, source: number, sourceFirst: number): void {
    if (count === 0 || this.#extendLast(count, source, sourceFirst)) return;
    if (this.#length === this.#words.length) this.#grow();
    this.#words.set([first, count, source, sourceFirst], this.#length);
    this.#length += RUN_FIELDS;
  }

  finish(): Uint32Array {
    return this.#words.slice(0, this.#length);
  }

  #extendLast(count: number, source: number, sourceFirst: number): boolean {
    if (this.#length === 0) return false;
    const at = this.#length - RUN_FIELDS;
    const last = runAt(this.#words, at / RUN_FIELDS);
    if (last.source !== source) return false;
    if (isStored(source) && last.sourceFirst + last.count !== sourceFirst) return false;
    this.#words[at + 1] = last.count + count;
    return true;
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }
}
