/**
 * New headers out of old ones: what a scan has found put over its parent, all
 * builds merged into one, and the header of a memory file that never had one.
 */
import { SOURCE_INHERIT, SOURCE_ZERO } from '../../native/addon/binding.js';
import { BUILDS_MAX, type MemoryHeader } from './memory-header.js';
import {
  BLOCK_BYTES,
  eachRun,
  isStored,
  problemOfRuns,
  type Run,
  RunWriter,
  runAt,
  runCount,
  storedBlocks,
} from './memory-map.js';

/** What `scanMemory` of the addon has found out about a memory. */
export interface MemoryDiff {
  sizeBytes: number;
  /** Source 0 is the new build. */
  runs: Uint32Array;
  checksums: Uint32Array;
}

/** Part of a plain memory file that is no hole. */
export interface DataExtent {
  offset: number;
  sizeBytes: number;
}

/**
 * The header of a memory after a scan: a block that the diff has wins, a block
 * that it says is zero is zero, every other one stays where it is.
 * @param parent what the scan was given as parent; its header when there was one.
 * @param buildId the file that the scan has written.
 * @throws RangeError when the two do not belong together.
 */
export function applyDiff(
  parent: MemoryHeader | undefined,
  diff: MemoryDiff,
  buildId: string,
): MemoryHeader {
  checkDiff(parent, diff, buildId);
  const parentBuilds = parent?.builds ?? [];
  const inherited = parent && new InheritedBlocks(parent);
  const map = new MapWriter(diff.checksums.length + (parent?.checksums.length ?? 0));
  let ownBlocks = 0;
  for (const run of eachRun(diff.runs)) {
    if (run.source === SOURCE_INHERIT) inherited?.copyTo(map, run.first, run.count);
    else if (run.source === SOURCE_ZERO) map.zero(run.first, run.count);
    else {
      const own = { ...run, source: parentBuilds.length };
      map.stored(own, diff.checksums.subarray(ownBlocks, ownBlocks + run.count));
      ownBlocks += run.count;
    }
  }
  const content = map.finish();
  const used = withoutUnused([...parentBuilds, buildId], content.runs);
  if (used.builds.length > BUILDS_MAX) throw new RangeError('the chain must be merged first');
  const mappable = staysMappable(parent, diff, used.builds, buildId);
  return { sizeBytes: diff.sizeBytes, ...used, checksums: content.checksums, mappable };
}

/** The header of what `mergeMemory` of the addon writes: the same memory in one build. */
export function mergedHeader(header: MemoryHeader, buildId: string): MemoryHeader {
  const runs = new RunWriter();
  for (const { first, count, source } of eachRun(header.runs)) {
    if (isStored(source)) runs.append(first, count, 0, first);
    else runs.append(first, count, SOURCE_ZERO, 0);
  }
  return {
    sizeBytes: header.sizeBytes,
    builds: header.builds.length > 0 ? [buildId] : [],
    runs: runs.finish(),
    checksums: header.checksums,
    mappable: true,
  };
}

/**
 * The header of a plain memory file. It has no checksums, so that what is read
 * through it cannot be verified. Extents are in order; a block that one of
 * them touches is data.
 * @throws RangeError when an extent lies outside of the memory or before an earlier one.
 */
export function legacyHeader(
  sizeBytes: number,
  buildId: string,
  dataExtents: readonly DataExtent[],
): MemoryHeader {
  const runs = new RunWriter();
  let next = 0;
  for (const { offset, sizeBytes: length } of dataExtents) {
    const first = Math.max(next, Math.floor(offset / BLOCK_BYTES));
    const end = Math.ceil((offset + length) / BLOCK_BYTES);
    if (offset < 0 || length < 0 || offset + length > sizeBytes || end < next)
      throw new RangeError(`extent of ${length} bytes at ${offset}`);
    if (end <= first) continue;
    runs.append(next, first - next, SOURCE_ZERO, 0);
    runs.append(first, end - first, 0, first);
    next = end;
  }
  const builds = next > 0 ? [buildId] : [];
  runs.append(next, sizeBytes / BLOCK_BYTES - next, SOURCE_ZERO, 0);
  return { sizeBytes, builds, runs: runs.finish(), checksums: new Uint32Array(), mappable: true };
}

function checkDiff(parent: MemoryHeader | undefined, diff: MemoryDiff, buildId: string): void {
  const blocks = diff.sizeBytes / BLOCK_BYTES;
  const problem = problemOfRuns(diff.runs, blocks, { files: 1, inherit: parent !== undefined });
  if (problem) throw new RangeError(`not a diff: ${problem}`);
  if (diff.checksums.length !== storedBlocks(diff.runs))
    throw new RangeError('the diff must have a checksum for each of its blocks');
  if (parent && parent.sizeBytes !== diff.sizeBytes)
    throw new RangeError('the diff is of a memory of another size');
  if (parent?.builds.includes(buildId)) throw new RangeError('the build is in the parent already');
}

/** Whether the new header may be mapped as one file; see MemoryHeader. */
function staysMappable(
  parent: MemoryHeader | undefined,
  diff: MemoryDiff,
  builds: readonly string[],
  buildId: string,
): boolean {
  const [only, ...others] = builds;
  if (others.length > 0) return false;
  // A scan writes nothing where memory is zero, and a memory without builds is a hole.
  if (only === undefined || only === buildId) return true;
  const nothingChanged = runAt(diff.runs, 0).source === SOURCE_INHERIT && runCount(diff.runs) === 1;
  return nothingChanged && parent?.mappable === true;
}

/** Leaves out the builds that no run uses any more, and counts the others anew. */
function withoutUnused(
  builds: readonly string[],
  runs: Uint32Array,
): { builds: string[]; runs: Uint32Array } {
  const used = new Set<number>();
  for (const { source } of eachRun(runs)) if (isStored(source)) used.add(source);
  const order = [...used].sort((one, other) => one - other);
  const renumbered = new Map(order.map((source, index) => [source, index]));
  const rewritten = new RunWriter();
  for (const { first, count, source, sourceFirst } of eachRun(runs))
    rewritten.append(first, count, renumbered.get(source) ?? source, sourceFirst);
  return { builds: builds.filter((_, index) => used.has(index)), runs: rewritten.finish() };
}

/** Runs and checksums of a new header, in order of address. */
class MapWriter {
  readonly #runs = new RunWriter();
  readonly #checksums: Uint32Array;
  #stored = 0;
  #unverified = false;

  constructor(checksumsMax: number) {
    this.#checksums = new Uint32Array(checksumsMax);
  }

  zero(first: number, count: number): void {
    this.#runs.append(first, count, SOURCE_ZERO, 0);
  }

  /** @param checksums those of the run's blocks; none when they are not known. */
  stored({ first, count, source, sourceFirst }: Run, checksums: Uint32Array): void {
    this.#runs.append(first, count, source, sourceFirst);
    this.#unverified ||= checksums.length < count;
    if (this.#unverified) return;
    this.#checksums.set(checksums, this.#stored);
    this.#stored += count;
  }

  finish(): { runs: Uint32Array; checksums: Uint32Array } {
    const checksums = this.#unverified ? new Uint32Array() : this.#checksums.slice(0, this.#stored);
    return { runs: this.#runs.finish(), checksums };
  }
}

/** Copies ranges out of a parent; each range lies behind the one before. */
class InheritedBlocks {
  readonly #parent: MemoryHeader;
  #index = 0;
  /** Blocks that lie in files before the current run. */
  #storedBefore = 0;

  constructor(parent: MemoryHeader) {
    this.#parent = parent;
  }

  copyTo(map: MapWriter, first: number, count: number): void {
    const end = first + count;
    for (let next = first; next < end; ) {
      const run = this.#runWith(next);
      const part = Math.min(end, run.first + run.count) - next;
      if (isStored(run.source)) this.#copyStored(map, run, next, part);
      else map.zero(next, part);
      next += part;
    }
  }

  #copyStored(map: MapWriter, run: Run, first: number, count: number): void {
    const skipped = first - run.first;
    const at = this.#storedBefore + skipped;
    map.stored(
      { first, count, source: run.source, sourceFirst: run.sourceFirst + skipped },
      this.#parent.checksums.subarray(at, at + count),
    );
  }

  #runWith(block: number): Run {
    for (;;) {
      const run = runAt(this.#parent.runs, this.#index);
      if (block < run.first + run.count) return run;
      if (isStored(run.source)) this.#storedBefore += run.count;
      this.#index++;
    }
  }
}
