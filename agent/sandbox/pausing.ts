/** Pausing and resuming sandboxes by their ids, with one answer to each race. */
import type { Reason } from '../../lib/errors/index.js';
import { sandboxNotFound, staleGeneration, wrongPhase } from './errors.js';
import { pauseSandbox } from './pause.js';
import type { SandboxRegistry } from './registry.js';
import type { RestoreStep } from './restore.js';
import type { Sandbox } from './sandbox.js';
import { type PausedSandbox, toPausedSandbox, toRef } from './sandbox-ref.js';
import type { Origin } from './start.js';

export interface Resumed {
  sandbox: Sandbox;
  /** Empty when it was running already. */
  steps: RestoreStep[];
}

/** The paused sandbox of this id; undefined when it runs, or there is none. */
export function findPaused(
  { host }: SandboxRegistry,
  sandboxId: string,
): PausedSandbox | undefined {
  const ref = host.snapshots.ref('sandbox', sandboxId);
  return ref && ref.phase !== 'running' ? toPausedSandbox(ref) : undefined;
}

/** All sandboxes that hold nothing but their snapshot. */
export function listPaused(registry: SandboxRegistry): PausedSandbox[] {
  return registry.host.snapshots
    .refs('sandbox')
    .filter(({ name, phase }) => phase !== 'running' && !registry.get(name))
    .map(toPausedSandbox);
}

/**
 * Pauses a running sandbox; one that is paused stays so.
 * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STALE_GENERATION, HOST_DISK_FULL, PAUSE_FAILED
 */
export async function pause(
  registry: SandboxRegistry,
  sandboxId: string,
  generation: number,
): Promise<PausedSandbox> {
  return registry.locked(sandboxId, async () => {
    const paused = registry.get(sandboxId) ? undefined : findPaused(registry, sandboxId);
    if (paused) return paused;
    const sandbox = registry.running(sandboxId);
    requireFresh(sandboxId, generation, sandbox.entry.generation);
    sandbox.entry.generation = generation;
    return pauseHeld(registry, sandbox);
  });
}

/**
 * Pauses a sandbox whose timeout has passed. Never rejects: one that cannot be paused runs on and
 * is tried again later.
 */
export async function pauseExpired(registry: SandboxRegistry, sandbox: Sandbox): Promise<void> {
  await registry.locked(sandbox.id, async () => {
    if (sandbox.entry.phase !== 'running' || !sandbox.expired()) return;
    try {
      await pauseHeld(registry, sandbox, 'SANDBOX_TIMEOUT');
    } catch (error) {
      sandbox.notePauseFailed();
      registry.host.log.error('sandbox not paused at its timeout', {
        sandbox_id: sandbox.id,
        error,
      });
    }
  });
}

async function pauseHeld(
  registry: SandboxRegistry,
  sandbox: Sandbox,
  reason?: Reason,
): Promise<PausedSandbox> {
  try {
    return await pauseSandbox(registry.host, sandbox, reason);
  } finally {
    if (sandbox.isStuck) await registry.endHeld(sandbox, 'PAUSE_FAILED');
    if (sandbox.isFreed) registry.delete(sandbox);
    registry.changes.bump();
    registry.collectGarbage();
  }
}

/**
 * Brings a paused sandbox back; one that runs stays so. It goes on when the caller goes away.
 * @param cold boots it from its disk, without its memory.
 * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, STALE_GENERATION and what a start throws; then it is
 *   paused as before.
 */
export async function resume(
  registry: SandboxRegistry,
  sandboxId: string,
  generation: number,
  cold: boolean,
): Promise<Resumed> {
  return registry.locked(sandboxId, async () => {
    const present = registry.get(sandboxId);
    if (present) {
      if (present.entry.phase === 'running') return { sandbox: present, steps: [] };
      throw wrongPhase(sandboxId, present.entry.phase, present.endReason);
    }
    const paused = findPaused(registry, sandboxId);
    if (!paused) throw sandboxNotFound(sandboxId);
    requireFresh(sandboxId, generation, paused.generation);
    return resumeHeld(registry, { ...paused, generation }, cold);
  });
}

async function resumeHeld(
  registry: SandboxRegistry,
  paused: PausedSandbox,
  cold: boolean,
): Promise<Resumed> {
  const { host } = registry;
  const { generationId } = paused;
  const sandbox = registry.add({
    sandboxId: paused.sandboxId,
    generation: paused.generation,
    phase: 'resuming',
    template: paused.template,
    images: paused.images,
    vcpus: paused.vcpus,
    memoryMb: paused.memoryMb,
    timeoutSec: paused.timeoutSec,
    pauseOnTimeout: paused.pauseOnTimeout,
    env: paused.env,
    createdAtMs: paused.createdAtMs,
    startedAtMs: paused.startedAtMs,
  });
  const origin: Origin = cold
    ? { kind: 'boot', layers: paused.layers }
    : { kind: 'restore', generationId, clone: false };
  let isRunning = false;
  try {
    await host.snapshots.setRef(toRef(paused, 'resuming'));
    const request = { origin, env: cold ? paused.env : undefined, identify: true };
    const steps = await registry.start(sandbox, request, new AbortController().signal);
    await host.snapshots.setRef(toRef(paused, 'running'));
    isRunning = true;
    return { sandbox, steps };
  } finally {
    if (!isRunning) await stayPaused(registry, sandbox, paused);
  }
}

/** A resume that failed leaves it paused, as it was. */
async function stayPaused(
  registry: SandboxRegistry,
  sandbox: Sandbox,
  paused: PausedSandbox,
): Promise<void> {
  const { host } = registry;
  // It was started, and only the record of it failed.
  if (sandbox.entry.phase === 'running') {
    sandbox.entry.phase = 'stopping';
    await registry.finish(sandbox);
  }
  if (sandbox.entry.phase === 'resuming') registry.delete(sandbox);
  // A delete that came in between takes the record away itself.
  if (sandbox.abortStart.signal.aborted) return;
  await host.snapshots.setRef(toRef(paused, 'paused')).catch((error: unknown) => {
    // `resuming` without a machine means the same.
    host.log.warn('failed resume not noted', { sandbox_id: sandbox.id, error });
  });
  registry.collectGarbage();
}

function requireFresh(sandboxId: string, generation: number, known: number): void {
  if (generation < known) throw staleGeneration(sandboxId, generation, known);
}
