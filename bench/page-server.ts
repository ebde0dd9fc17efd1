/**
 * `npm run bench -- page-server`: the page server of the addon against copying
 * without faults and against the plainest server in C. The VMM is a program
 * that only touches memory; the one that touches and the one that serves share
 * a processor in all arms, and Node has another.
 */
import { buildAnchors } from './anchors.js';
import { machineFacts, watchNoise } from './machine.js';
import { type BenchContext, measure } from './measure.js';
import { type FaultFigure, PageServerLab } from './page-server-lab.js';
import type { BenchReport, GroupPlan } from './report.js';
import { AGAIN, type Arm } from './rounds.js';
import { withWorkFolder } from './work-folder.js';

const SCRIPT = 'bench/page-server.ts';
const ROUNDS_DEFAULT = 15;
const WARM_UP_ROUNDS_DEFAULT = 2;
const MIB = 1024 * 1024;
const MEMORY_MIB = 128;
/** Blocks that one fault brings. */
const RUN_BLOCKS = 64;

const BULK = 'UFFDIO_COPY alone, C';
const PLAIN_SERVER = 'plain server, C';
const ADDON = 'page server of the addon';
const ADDON_BLOCKED = 'the same, Node blocked';

export function benchPageServer(context: BenchContext): Promise<BenchReport> {
  return withWorkFolder(async (folder) => {
    const { progress, signal } = context;
    progress.show('preparing a memory');
    await buildAnchors(signal);
    await using lab = await PageServerLab.create(folder, MEMORY_MIB * MIB, signal);
    const noiseSoFar = await watchNoise();
    const groups = [];
    for (const plan of plans(lab, context)) groups.push(await measure(plan, context));
    const { ioctls, servedBlocks } = lab.totals;
    return {
      script: SCRIPT,
      machine: await machineFacts(),
      noise: await noiseSoFar(),
      groups,
      counts: [
        {
          name: `ioctls per 1,000 blocks, ${RUN_BLOCKS} a fault`,
          value: (1000 * ioctls) / servedBlocks,
          ideal: 1000 / RUN_BLOCKS,
        },
      ],
    };
  });
}

function plans(lab: PageServerLab, { options }: BenchContext): GroupPlan[] {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const plan = { rounds: count, warmUpRounds: warmUp };
  const single = (figure: FaultFigure) => ({
    ...plan,
    title: `One block at random, ${figure} of ${lab.touches} faults`,
    arms: singleFaultArms(lab, figure),
    baselines: [PLAIN_SERVER],
  });
  return [
    {
      ...plan,
      title: `Bring ${MEMORY_MIB} MiB, ${RUN_BLOCKS} blocks a fault`,
      arms: bulkArms(lab),
      baselines: [BULK, PLAIN_SERVER],
    },
    single('p50'),
    single('p99'),
  ];
}

function bulkArms(lab: PageServerLab): Arm[] {
  const server = { runBlocks: RUN_BLOCKS, pattern: 'all', figure: 'elapsed' } as const;
  const bulk = (signal: AbortSignal) => lab.bulkCopy(RUN_BLOCKS, signal);
  return [
    { name: BULK, measure: bulk },
    { name: AGAIN, measure: bulk },
    { name: PLAIN_SERVER, measure: (signal) => lab.plainServer(server, signal) },
    { name: ADDON, measure: (signal) => lab.addonServer(server, signal) },
    {
      name: `${ADDON}, checksums left out`,
      measure: (signal) => lab.addonServer({ ...server, checked: false }, signal),
    },
  ];
}

function singleFaultArms(lab: PageServerLab, figure: FaultFigure): Arm[] {
  const server = { runBlocks: 1, pattern: 'random', figure } as const;
  const plain = (signal: AbortSignal) => lab.plainServer(server, signal);
  return [
    { name: PLAIN_SERVER, measure: plain },
    { name: AGAIN, measure: plain },
    { name: ADDON, measure: (signal) => lab.addonServer(server, signal) },
    {
      name: ADDON_BLOCKED,
      measure: (signal) => lab.addonServer({ ...server, blocked: true }, signal),
    },
  ];
}
