/**
 * Finds the sandboxes of an earlier run of the agent by the ledger: running
 * machines are taken over, with the memory that they still need, half-made and
 * half-freed sandboxes are freed, and a pause that was cut off is finished if
 * its record is there, else undone.
 */
import type { Reason } from '../../lib/errors/index.js';
import { retry } from '../../lib/lifecycle/delay.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import type { Machine } from '../vmm/driver.js';
import type { SandboxEntry } from './entry.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import { openGuest, slotOf } from './machine.js';
import { finishPause } from './pause.js';
import { Sandbox } from './sandbox.js';

/** Sandboxes that are recovered side by side. */
const RECOVERIES_AT_ONCE_MAX = 16;
/** A machine is not given up for one failed look at it: the host may be short of something for a moment. */
const ADOPTION_TRIES = { timeoutMs: 3000, pauseMs: 200, pauseMsMax: 1000 };

export interface Recovery {
  /** The sandboxes that this host has, running and ended. */
  sandboxes: Sandbox[];
  /** Whether all entries could be read, so that what none of them holds is nobody's. */
  isWhole: boolean;
}

/** @throws Error when the ledger as a whole cannot be read. */
export async function recoverSandboxes(host: Host): Promise<Recovery> {
  const content = await host.ledger.read();
  for (const { path, cause } of content.unreadable) {
    host.log.error('ledger entry not readable; nothing is swept', { path, error: cause });
  }
  const recovered = await mapConcurrently(
    content.entries as SandboxEntry[],
    RECOVERIES_AT_ONCE_MAX,
    (entry) => recoverSandbox(host, new Sandbox(entry)),
  );
  const sandboxes = recovered.filter((sandbox) => sandbox !== undefined);
  return { sandboxes, isWhole: content.unreadable.length === 0 };
}

async function recoverSandbox(host: Host, sandbox: Sandbox): Promise<Sandbox | undefined> {
  try {
    // Nobody knows of it, and another one is made when it is needed.
    if (sandbox.entry.internal) return await removeUnfinished(host, sandbox);
    switch (sandbox.entry.phase) {
      case 'running':
        return await adoptOrEnd(host, sandbox);
      case 'pausing':
        return await completePause(host, sandbox);
      case 'ended':
        await freeSandbox(host, sandbox);
        return sandbox;
      case 'starting':
      case 'resuming':
      case 'stopping':
        return await removeUnfinished(host, sandbox);
    }
  } catch (error) {
    // The reaper tries again; until then the entry holds what is left.
    host.log.error('sandbox not recovered completely', { sandbox_id: sandbox.id, error });
    return sandbox;
  }
}

/** What it came from, if it was to be resumed, is as it was before. */
async function removeUnfinished(host: Host, sandbox: Sandbox): Promise<undefined> {
  sandbox.entry.phase = 'stopping';
  await freeSandbox(host, sandbox);
  await host.ledger.remove(sandbox.id);
  host.log.info('unfinished sandbox removed', { sandbox_id: sandbox.id });
}

/** A pause counts from its record on; one without is undone, and the machine goes on. */
async function completePause(host: Host, sandbox: Sandbox): Promise<Sandbox | undefined> {
  const { entry } = sandbox;
  const ref = host.snapshots.ref('sandbox', sandbox.id);
  if (entry.draftGenerationId === undefined || ref?.generationId !== entry.draftGenerationId) {
    entry.phase = 'running';
    return adoptOrEnd(host, sandbox);
  }
  await finishPause(host, sandbox);
  return sandbox.isFreed ? undefined : sandbox;
}

async function adoptOrEnd(host: Host, sandbox: Sandbox): Promise<Sandbox> {
  try {
    return await retry(() => adopt(host, sandbox), ADOPTION_TRIES);
  } catch (error) {
    host.log.error('sandbox could not be taken over', { sandbox_id: sandbox.id, error });
    return await endLost(host, sandbox, 'SANDBOX_LOST');
  }
}

async function adopt(host: Host, sandbox: Sandbox): Promise<Sandbox> {
  const { entry } = sandbox;
  const machine = entry.machine && (await host.driver.recover(entry.machine));
  if (!machine || !entry.slot) return await endLost(host, sandbox, 'VMM_EXITED');
  sandbox.machine = machine;
  try {
    await host.network.adopt(entry.slot);
  } catch (error) {
    host.log.error('network of a recovered sandbox does not stand', {
      sandbox_id: sandbox.id,
      error,
    });
    return await endLost(host, sandbox, 'SANDBOX_LOST');
  }
  await adoptMemory(host, sandbox, machine);
  await adoptDisk(host, sandbox, machine);
  // The agent may have ended while it wrote the machine down.
  delete entry.draftGenerationId;
  await machine.run();
  await host.ledger.put(entry);
  openGuest(host, sandbox, machine);
  host.log.info('sandbox adopted', { sandbox_id: sandbox.id });
  return sandbox;
}

/** Goes on serving the memory of a machine that was restored. */
async function adoptMemory(host: Host, sandbox: Sandbox, machine: Machine): Promise<void> {
  const { entry } = sandbox;
  const { servingGenerationId, parentGenerationId, memory } = entry;
  if (parentGenerationId) sandbox.hold(host.snapshots, 'parent', parentGenerationId);
  if (!servingGenerationId || sandbox.memory) return;
  sandbox.hold(host.snapshots, 'serving', servingGenerationId);
  if (!memory) throw new Error('a restored machine has a record of its memory');
  const request = {
    memory: await host.snapshots.memoryFiles(servingGenerationId),
    runDirectory: entry.runDirectory,
    uid: slotOf(sandbox).uid,
  };
  sandbox.memory = await host.memory.adopt(request, memory, machine.record.pid);
}

/** The agent may have ended while it put a new layer on the disk: the machine knows which one it writes. */
async function adoptDisk(host: Host, sandbox: Sandbox, machine: Machine): Promise<void> {
  const { entry } = sandbox;
  if (!entry.nextRootfs) return;
  if ((await machine.diskPath()) === entry.nextRootfs.path) entry.rootfs = entry.nextRootfs;
  else await host.rootfs.destroy(entry.nextRootfs);
  delete entry.nextRootfs;
}

async function endLost(host: Host, sandbox: Sandbox, reason: Reason): Promise<Sandbox> {
  sandbox.entry.phase = 'ended';
  sandbox.entry.endReason = reason;
  await host.ledger.put(sandbox.entry);
  await freeSandbox(host, sandbox);
  await host.ledger.put(sandbox.entry);
  host.log.warn('sandbox ended while the agent was away', { sandbox_id: sandbox.id, reason });
  return sandbox;
}
