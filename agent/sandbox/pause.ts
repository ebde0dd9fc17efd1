/**
 * Pauses a sandbox: writes it down, and frees all that it holds. Until the
 * record says that it is paused, a failure leaves it running; from then on it
 * is paused, and what could not be freed is freed later.
 */
import type { Reason } from '../../lib/errors/index.js';
import { captureGeneration } from './capture.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import type { Sandbox } from './sandbox.js';
import { type PausedSandbox, pausedNow, toRef } from './sandbox-ref.js';
import { shortenRef } from './shorten.js';
import { StepTimes } from './step-times.js';
import { keepWorkingSet } from './working-set.js';

/**
 * @param reason why, when nobody asked for it.
 * @throws HOST_DISK_FULL, PAUSE_FAILED; then the sandbox runs on, or is stuck.
 */
export async function pauseSandbox(
  host: Host,
  sandbox: Sandbox,
  reason?: Reason,
): Promise<PausedSandbox> {
  const { entry } = sandbox;
  const times = new StepTimes();
  entry.phase = 'pausing';
  let paused: PausedSandbox | undefined;
  try {
    await captureGeneration(host, sandbox, {
      goesOn: false,
      times,
      commit: async (generationId) => {
        const planned = pausedNow(entry, generationId, sandbox.lastActiveAtMs, reason);
        await host.snapshots.setRef(toRef(planned, 'paused'));
        paused = planned;
      },
    });
  } finally {
    if (!paused) await runOn(host, sandbox);
  }
  if (!paused) throw new Error('a capture that succeeds commits');
  const workingSet = sandbox.memory?.workingSet();
  await times.measure('free', () => finishPause(host, sandbox));
  host.log.info('sandbox paused', {
    sandbox_id: sandbox.id,
    generation_id: paused.generationId,
    ...times.fields(),
  });
  const short = await shortenRef(host, paused);
  await keepWorkingSet(host, workingSet, short.generationId);
  return short;
}

/**
 * Frees what a paused sandbox still holds. Its layers belong to the generation now.
 * Never rejects: the ledger's entry, as `stopping`, keeps what is left.
 */
export async function finishPause(host: Host, sandbox: Sandbox): Promise<void> {
  const { entry } = sandbox;
  entry.phase = 'stopping';
  delete entry.rootfs;
  try {
    await host.ledger.put(entry);
    await freeSandbox(host, sandbox);
    await host.ledger.remove(sandbox.id);
    sandbox.isFreed = true;
  } catch (error) {
    sandbox.noteFreeFailed();
    host.log.error('paused sandbox not freed yet', { sandbox_id: sandbox.id, error });
  }
}

/** A pause that failed leaves a sandbox that runs. */
async function runOn(host: Host, sandbox: Sandbox): Promise<void> {
  const { entry } = sandbox;
  entry.phase = 'running';
  delete entry.draftGenerationId;
  await host.ledger.put(entry).catch((error: unknown) => {
    // Recovery lets a machine run whose pause was not committed.
    host.log.warn('failed pause not noted', { sandbox_id: sandbox.id, error });
  });
}
