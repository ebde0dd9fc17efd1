/**
 * Starts copies of a sandbox. All copies come out of one generation, which is
 * kept by a ref until the last of them runs, and by the copies afterwards.
 */
import { WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { sandboxExists } from './errors.js';
import type { Host } from './host.js';
import { checkSandboxId } from './names.js';
import { findPaused } from './pausing.js';
import type { SandboxPlan, SandboxRegistry } from './registry.js';
import type { Sandbox } from './sandbox.js';
import { freeze } from './snapshots.js';

/** Copies that are started side by side; the host's own limit on starts holds too. */
const STARTS_AT_ONCE_MAX = 100;

export type ForkResult =
  | { kind: 'sandbox'; sandbox: Sandbox }
  | { kind: 'error'; error: WrennError };

type ChildPlan = Omit<SandboxPlan, 'sandboxId'>;

/**
 * @returns a result for each child, in the same order.
 * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, HOST_DISK_FULL, PAUSE_FAILED; then there is no child.
 */
export async function forkSandbox(
  registry: SandboxRegistry,
  sandboxId: string,
  childIds: readonly string[],
  signal: AbortSignal,
): Promise<ForkResult[]> {
  checkSandboxId(sandboxId);
  for (const childId of childIds) checkSandboxId(childId);
  const { host } = registry;
  const forkId = randomId();
  const plan = await registry.locked(sandboxId, async () => {
    await freeze(registry, sandboxId, (generationId) =>
      host.snapshots.setRef({
        kind: 'fork',
        name: forkId,
        generationId,
        phase: 'paused',
        updatedAtMs: Date.now(),
        details: { sandboxId },
      }),
    );
    return childPlan(registry, sandboxId);
  });
  try {
    const generationId = host.snapshots.ref('fork', forkId)?.generationId ?? '';
    return await mapConcurrently(childIds, STARTS_AT_ONCE_MAX, (childId) =>
      startChild(registry, { ...plan, sandboxId: childId }, generationId, signal),
    );
  } finally {
    await host.snapshots.removeRef('fork', forkId);
    registry.collectGarbage();
  }
}

/** Gives up the generations of forks that an earlier agent did not finish; their children hold them. */
export async function removeForks({ snapshots }: Host): Promise<void> {
  for (const { name } of snapshots.refs('fork')) await snapshots.removeRef('fork', name);
}

/** What the children are: all that the parent is, but nobody's command and their own age. */
function childPlan(registry: SandboxRegistry, sandboxId: string): ChildPlan {
  const now = { generation: 1, phase: 'starting' as const, createdAtMs: Date.now() };
  const parent = registry.get(sandboxId)?.entry ?? findPaused(registry, sandboxId);
  if (!parent) throw new Error('a sandbox that was frozen runs or is paused');
  const { template, images, vcpus, memoryMb, timeoutSec, pauseOnTimeout, env } = parent;
  return { ...now, template, images, vcpus, memoryMb, timeoutSec, pauseOnTimeout, env };
}

async function startChild(
  registry: SandboxRegistry,
  plan: SandboxPlan,
  generationId: string,
  signal: AbortSignal,
): Promise<ForkResult> {
  try {
    if (registry.get(plan.sandboxId)) throw sandboxExists(plan.sandboxId);
    const child = registry.add(plan);
    const origin = { kind: 'restore', generationId, clone: true } as const;
    await registry.locked(child.id, () =>
      registry.start(child, { origin, env: undefined, identify: true }, signal),
    );
    return { kind: 'sandbox', sandbox: child };
  } catch (error) {
    registry.host.log.warn('copy not started', { sandbox_id: plan.sandboxId, error });
    return { kind: 'error', error: WrennError.from(error) };
  }
}
