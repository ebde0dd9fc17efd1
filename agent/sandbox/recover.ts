/**
 * Finds the sandboxes of an earlier run of the agent by the ledger: running
 * machines are taken over, half-made and half-freed sandboxes are freed.
 */
import type { Reason } from '../../lib/errors/index.js';
import { retry } from '../../lib/lifecycle/delay.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { GuestClient } from '../guest/guest-client.js';
import type { SandboxEntry } from './entry.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
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
  const log = host.log.child({ sandbox_id: sandbox.id });
  try {
    switch (sandbox.entry.phase) {
      case 'running':
        return await adoptOrEnd(host, sandbox);
      case 'ended':
        await freeSandbox(host, sandbox);
        return sandbox;
      case 'starting':
      case 'stopping':
        sandbox.entry.phase = 'stopping';
        await freeSandbox(host, sandbox);
        await host.ledger.remove(sandbox.id);
        log.info('unfinished sandbox removed');
        return undefined;
    }
  } catch (error) {
    // The reaper tries again; until then the entry holds what is left.
    log.error('sandbox not recovered completely', { error });
    return sandbox;
  }
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
  sandbox.guest = new GuestClient({
    target: machine.guestTarget,
    token: entry.guestToken,
    log: host.log,
  });
  host.log.info('sandbox adopted', { sandbox_id: sandbox.id });
  return sandbox;
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
