/**
 * Snapshots of one guest at several depths of its chain: it is paused and
 * resumed, and changes a part of its working set in between, until the chain
 * has become as long as it gets; the next pause makes it short again.
 */
import { randomId } from '../lib/ids/random-id.js';
import { readSnapshot } from './generation-files.js';
import type { BenchPlatform } from './platform.js';
import { createAtAgent, destroyAtAgent, execAtAgent } from './restore-arms.js';

const CALL_TIMEOUT_MS = 300_000;
const GENERATION = 1;
/** The chain of the longest kind is merged within these pauses. */
const PAUSES_MAX = 24;
/** Parts of the working set, of which each pause finds another one changed. */
const PARTS = 8;
const PART_MIB = 2;
const SHORTEST = 1;

/** A file in the guest's memory. */
export const WORKING_SET = '/dev/shm/working-set';
export const WORKING_SET_MIB = PARTS * PART_MIB;

export interface DepthSnapshot {
  depth: number;
  snapshotId: string;
}

/** The same guest with chains as long, as short, and as short but one, as they get. */
export interface Depths {
  deepest: DepthSnapshot;
  /** One file, which the VMM maps. */
  flat: DepthSnapshot;
  /** Two files, which a page server serves. */
  shallow: DepthSnapshot;
}

export async function makeDepths(
  platform: BenchPlatform,
  onPause: (depth: number) => void,
  signal: AbortSignal,
): Promise<Depths> {
  const sandboxId = randomId();
  const { agent } = platform;
  await createAtAgent(agent, { sandboxId }, signal);
  await changePart(platform, sandboxId, undefined, signal);
  const pause = async (part: number): Promise<DepthSnapshot> => {
    await changePart(platform, sandboxId, part % PARTS, signal);
    const snapshot = await pauseOnce(platform, sandboxId, signal);
    onPause(snapshot.depth);
    return snapshot;
  };
  let deepest = await pause(0);
  for (let pauses = 1; pauses < PAUSES_MAX; pauses += 1) {
    const next = await pause(pauses);
    if (next.depth === SHORTEST) {
      const shallow = await pause(pauses + 1);
      await destroyAtAgent(agent, sandboxId, signal);
      return { deepest, flat: next, shallow };
    }
    await deleteSnapshot(platform, deepest, signal);
    deepest = next;
  }
  throw new Error(`no chain was merged in ${PAUSES_MAX} pauses`);
}

/** Snapshots of the pause that it was in, and resumes it. */
async function pauseOnce(
  { agent, config }: BenchPlatform,
  sandboxId: string,
  signal: AbortSignal,
): Promise<DepthSnapshot> {
  const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
  const snapshotId = randomId();
  await agent.pauseSandbox({ sandboxId, generation: GENERATION }, options);
  await agent.createSnapshot({ sandboxId, snapshotId, name: 'bench' }, options);
  const { memoryPaths } = await readSnapshot(config.stateDirectory, snapshotId);
  await agent.resumeSandbox({ sandboxId, generation: GENERATION, cold: false }, options);
  return { depth: memoryPaths.length, snapshotId };
}

async function deleteSnapshot(
  { agent }: BenchPlatform,
  { snapshotId }: DepthSnapshot,
  signal: AbortSignal,
): Promise<void> {
  await agent.deleteSnapshot({ snapshotId }, { timeoutMs: CALL_TIMEOUT_MS, signal });
}

/** Writes a part of the working set anew; all of it when no part is named. */
async function changePart(
  { agent }: BenchPlatform,
  sandboxId: string,
  part: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const [count, seek] = part === undefined ? [WORKING_SET_MIB, 0] : [PART_MIB, part * PART_MIB];
  const numbers = ['bs=1M', `count=${count}`, `seek=${seek}`, 'conv=notrunc'];
  const args = ['if=/dev/urandom', `of=${WORKING_SET}`, ...numbers];
  await execAtAgent(agent, sandboxId, { cmd: 'dd', args }, signal);
}
