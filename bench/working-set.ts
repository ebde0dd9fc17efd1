/**
 * `npm run bench -- working-set`: the same machine restored twice from memory
 * that a page server serves, the second time with what the first one wanted
 * brought in advance: page faults, and time to the result of a first command.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTemplate } from './create.js';
import { readOnlyGeneration } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, type Findings, withPlatform } from './platform-run.js';
import type { BenchReport, CountReport } from './report.js';
import { AGAIN, type Arm } from './rounds.js';
import {
  blocksOf,
  restoreServed,
  type ServedRestore,
  type ServedRestoreOptions,
} from './served-restore.js';
import { summarize } from './statistics.js';

const ROUNDS_DEFAULT = 7;
const WARM_UP_ROUNDS_DEFAULT = 1;

const FIRST = 'page server';
const SECOND = 'with the working set of the one before';
const WATCHED = 'the same, not begun before all of it is there';

export function benchWorkingSet(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/working-set.ts', context, (platform, machine) =>
    compare(platform, acceleratorOf(machine), context),
  );
}

async function compare(
  platform: BenchPlatform,
  accelerator: 'kvm' | 'tcg',
  context: BenchContext,
): Promise<Findings> {
  const { options, progress, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const { stateDirectory, runDirectory } = platform.config;
  progress.show('making a warm template');
  await makeTemplate(platform, signal);
  const files = await readOnlyGeneration(stateDirectory, 'warm');
  await using link = await openGuestLink();
  const machine = { files, accelerator, tapName: link.tapName };
  const lab = new WorkingSetLab(join(runDirectory, 'served-restore'), machine);
  await lab.record(signal);
  const group = await measure(
    {
      title: 'Restore to the result of a first command, memory served page by page',
      arms: [
        lab.arm(FIRST, {}),
        lab.arm(AGAIN, {}),
        lab.arm(SECOND, { replays: true }),
        lab.arm(WATCHED, { replays: true, watchTouched: true }),
      ],
      baselines: [FIRST],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  return { groups: [group], counts: lab.counts(warmUp) };
}

class WorkingSetLab {
  readonly #directory: string;
  readonly #machine: ServedRestoreOptions['machine'];
  readonly #restores = new Map<string, ServedRestore[]>();
  #workingSet: Uint32Array = new Uint32Array();

  constructor(directory: string, machine: ServedRestoreOptions['machine']) {
    this.#directory = directory;
    this.#machine = machine;
  }

  /** Restores once, for the working set that all others get: none of them is the one that it is of. */
  async record(signal: AbortSignal): Promise<void> {
    this.#workingSet = (await this.#restore({}, signal)).workingSet;
  }

  arm(
    name: string,
    { replays = false, watchTouched = false }: { replays?: boolean; watchTouched?: boolean },
  ): Arm {
    const restores: ServedRestore[] = [];
    this.#restores.set(name, restores);
    return {
      name,
      measure: async (signal) => {
        const workingSet = replays ? this.#workingSet : new Uint32Array();
        const restore = await this.#restore({ workingSet, watchTouched }, signal);
        restores.push(restore);
        return restore.elapsedMs;
      },
    };
  }

  /** Medians over the rounds that were measured. */
  counts(warmUp: number): CountReport[] {
    const median = (name: string, value: (restore: ServedRestore) => number) =>
      summarize((this.#restores.get(name) ?? []).slice(warmUp).map(value)).median;
    const faults = ({ statistics }: ServedRestore) => statistics.faults;
    const wanted = blocksOf(this.#workingSet);
    const share = ({ touchedBlocks = 0, statistics }: ServedRestore) =>
      touchedBlocks / statistics.replayedBlocks;
    const ioctlsPer1000 = ({ statistics }: ServedRestore) =>
      (1000 * statistics.ioctls) / (statistics.servedBlocks + statistics.zeroBlocks);
    return [
      { name: 'blocks of the working set', value: wanted },
      { name: 'runs of the working set', value: this.#workingSet.length / 2 },
      { name: `faults, ${FIRST}`, value: median(FIRST, faults) },
      { name: `faults, ${SECOND}`, value: median(SECOND, faults) },
      {
        name: 'faults / faults of the first',
        value: median(SECOND, faults) / median(FIRST, faults),
      },
      {
        name: 'faults / faults of the first, not begun before all of it is there',
        value: median(WATCHED, faults) / median(FIRST, faults),
      },
      {
        name: 'share of the replayed blocks that were touched',
        value: median(WATCHED, share),
        ideal: 1,
      },
      { name: `ioctls per 1,000 blocks, ${FIRST}`, value: median(FIRST, ioctlsPer1000) },
      { name: `ioctls per 1,000 blocks, ${SECOND}`, value: median(SECOND, ioctlsPer1000) },
    ];
  }

  async #restore(
    options: Pick<ServedRestoreOptions, 'workingSet' | 'watchTouched'>,
    signal: AbortSignal,
  ): Promise<ServedRestore> {
    const directory = this.#directory;
    await mkdir(directory, { recursive: true });
    try {
      return await restoreServed({ machine: this.#machine, directory, ...options }, signal);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}
