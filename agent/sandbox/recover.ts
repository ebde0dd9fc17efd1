/**
 * Finds the sandboxes of an earlier run of the agent by the ledger: running
 * machines are taken over, half-made and half-freed sandboxes are freed, and
 * what no entry holds is swept.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Reason } from '../../lib/errors/index.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { GuestClient } from '../guest/guest-client.js';
import type { LedgerContent } from '../ledger/ledger.js';
import type { SandboxEntry } from './entry.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import { Sandbox } from './sandbox.js';

/** Sandboxes that are recovered side by side. */
const RECOVERIES_AT_ONCE_MAX = 16;

/** @returns the sandboxes that this host has, running and ended. */
export async function recoverSandboxes(host: Host): Promise<Sandbox[]> {
  const content = await host.ledger.read();
  const recovered = await mapConcurrently(
    content.entries as SandboxEntry[],
    RECOVERIES_AT_ONCE_MAX,
    (entry) => recoverSandbox(host, new Sandbox(entry)),
  );
  const sandboxes = recovered.filter((sandbox) => sandbox !== undefined);
  if (content.unreadable.length > 0) reportUnreadable(host, content);
  else await sweep(host, sandboxes);
  return sandboxes;
}

async function recoverSandbox(host: Host, sandbox: Sandbox): Promise<Sandbox | undefined> {
  const log = host.log.child({ sandbox_id: sandbox.id });
  try {
    switch (sandbox.entry.phase) {
      case 'running':
        return await adopt(host, sandbox);
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

/** What an unreadable entry holds cannot be told from what nobody holds, so nothing is swept. */
function reportUnreadable(host: Host, content: LedgerContent): void {
  for (const { path, cause } of content.unreadable) {
    host.log.error('ledger entry not readable; nothing is swept', { path, error: cause });
  }
}

async function sweep(host: Host, sandboxes: Sandbox[]): Promise<void> {
  const entries = sandboxes.map(({ entry }) => entry);
  const removed = [
    ...(await host.driver.sweep(entries.flatMap(({ machine }) => (machine ? [machine] : [])))),
    ...(await host.network.sweep(entries.flatMap(({ slot }) => (slot ? [slot] : [])))),
    ...(await sweepDirectories(host.runDirectory, sandboxes)),
    ...(await sweepDirectories(host.stateDirectory, sandboxes)),
  ];
  if (removed.length > 0) host.log.warn('swept what no sandbox holds', { removed });
}

async function sweepDirectories(parent: string, sandboxes: Sandbox[]): Promise<string[]> {
  const held = new Set(sandboxes.map(({ id }) => id));
  const paths = (await readdir(parent))
    .filter((name) => !held.has(name))
    .map((name) => join(parent, name));
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })));
  return paths;
}
