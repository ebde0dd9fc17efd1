/**
 * `npm run bench -- streams`: GetSandbox one after another while 1,000 streams are
 * open, each with a line a second, against the same without them, and what the
 * streams take in memory.
 */
import { setTimeout } from 'node:timers/promises';
import { MACHINE } from './create-arms.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import { memoryOf } from './process-memory.js';
import { startProgram } from './program.js';
import { type BenchReport, type CountReport, type GroupReport, reportGroup } from './report.js';
import { AGAIN, type Arm, elapsed } from './rounds.js';
import { summarize } from './statistics.js';
import { agentPid, controlPlanePid } from './vmm-process.js';

const ROUNDS_DEFAULT = 5;
const WARM_UP_ROUNDS_DEFAULT = 1;
const CALLS = 1000;
const SANDBOXES = 5;
const STREAMS_PER_SANDBOX = 200;
const STREAMS = SANDBOXES * STREAMS_PER_SANDBOX;
/** After the streams were opened, and after they were ended. */
const SETTLE_MS = 2000;
const P99_RANK = 0.99;
const MIB = 1024 * 1024;

const WITHOUT = 'without streams';
const WITH = `with ${STREAMS} streams`;
const SETTINGS = { WRENN_MEMORY_MB_MAX: '1000000' };

/** MiB of each process. */
interface Memory {
  agent: number;
  controlPlane: number;
}

export function benchStreams(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform(
    'bench/streams.ts',
    context,
    (platform) => compare(platform, context),
    SETTINGS,
  );
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { options, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const sandboxIds: string[] = [];
  for (let number = 0; number < SANDBOXES; number += 1) {
    sandboxIds.push((await platform.client.sandboxes.create(MACHINE, { signal })).sandboxId);
  }
  const blocks = new Blocks(platform, sandboxIds);
  const plan = {
    title: `GetSandbox, median of ${CALLS} calls`,
    arms: blocks.arms,
    baselines: [WITHOUT],
    rounds: count,
    warmUpRounds: warmUp,
  };
  const medians = await measure(plan, context);
  const title = `GetSandbox, p99 of ${CALLS} calls`;
  const groups: GroupReport[] = [
    medians,
    reportGroup(
      { ...plan, title },
      blocks.p99s.map((samples) => samples.slice(warmUp)),
    ),
  ];
  return { groups, counts: blocks.counts() };
}

/** Blocks of calls, of which each round makes one by each arm. */
class Blocks {
  /** Milliseconds, warm-up included, by the arm's place. */
  readonly p99s: number[][] = [[], [], []];
  readonly arms: Arm[] = [
    { name: WITHOUT, measure: (signal) => this.#block(0, signal) },
    { name: AGAIN, measure: (signal) => this.#block(1, signal) },
    { name: WITH, measure: (signal) => this.#withStreams(2, signal) },
  ];
  readonly #platform: BenchPlatform;
  readonly #sandboxIds: readonly string[];
  readonly #before: Memory[] = [];
  readonly #opened: Memory[] = [];
  readonly #after: Memory[] = [];

  constructor(platform: BenchPlatform, sandboxIds: readonly string[]) {
    this.#platform = platform;
    this.#sandboxIds = sandboxIds;
  }

  /** Memory when there have been streams before, so that what is kept for reuse counts once. */
  counts(): CountReport[] {
    const last = (samples: Memory[]) => samples.at(-1) ?? { agent: 0, controlPlane: 0 };
    const [before, opened, after] = [this.#before, this.#opened, this.#after].map(last);
    const first = this.#before[0];
    if (!before || !opened || !after || !first) return [];
    return (['agent', 'controlPlane'] as const).flatMap((name) => {
      const label = name === 'agent' ? 'agent' : 'control plane';
      return [
        { name: `${label}, MiB without streams, at the beginning`, value: first[name] },
        { name: `${label}, MiB without streams, at the end`, value: before[name] },
        { name: `${label}, MiB with ${STREAMS} streams, just opened`, value: opened[name] },
        { name: `${label}, MiB with ${STREAMS} streams, after the calls`, value: after[name] },
      ];
    });
  }

  async #withStreams(place: number, signal: AbortSignal): Promise<number> {
    const { grpcAddress, apiKey } = this.#platform;
    this.#before.push(await this.#memory());
    const args = [grpcAddress, apiKey, String(STREAMS_PER_SANDBOX), ...this.#sandboxIds];
    const medianMs = await this.#beside(args, place, signal);
    await setTimeout(SETTLE_MS, undefined, { signal });
    return medianMs;
  }

  async #beside(args: readonly string[], place: number, signal: AbortSignal): Promise<number> {
    await using _ = await startProgram('stream-holder', args);
    await setTimeout(SETTLE_MS, undefined, { signal });
    this.#opened.push(await this.#memory());
    const medianMs = await this.#block(place, signal);
    this.#after.push(await this.#memory());
    return medianMs;
  }

  /** @returns the median. */
  async #block(place: number, signal: AbortSignal): Promise<number> {
    const [sandboxId = ''] = this.#sandboxIds;
    const { sandboxes } = this.#platform.client;
    const samples: number[] = [];
    for (let call = 0; call < CALLS; call += 1) {
      samples.push(await elapsed(() => sandboxes.get(sandboxId, { signal })));
    }
    const sorted = Float64Array.from(samples).sort();
    this.p99s[place]?.push(sorted[Math.ceil(sorted.length * P99_RANK) - 1] ?? Number.NaN);
    return summarize(samples).median;
  }

  async #memory(): Promise<Memory> {
    const { stateDirectory } = this.#platform.config;
    const [agent, controlPlane] = [
      await agentPid(stateDirectory),
      await controlPlanePid(stateDirectory),
    ];
    return {
      agent: (await memoryOf(agent)).anonymous / MIB,
      controlPlane: (await memoryOf(controlPlane)).anonymous / MIB,
    };
  }
}
