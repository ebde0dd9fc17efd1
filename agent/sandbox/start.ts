/**
 * Starts a sandbox's machine, from images or from a generation: ledger entry,
 * folders, network, disk, memory, machine, guest. The ledger entry lists what
 * there is to undo; when a step fails, or the signal aborts, all is undone and
 * the ledger forgets the sandbox. If an undo fails, the ledger keeps the
 * sandbox as `stopping`, and the manager tries again later.
 */
import { mkdir } from 'node:fs/promises';
import { hostDiskFull, isDiskFull } from '../../lib/errors/disk-full.js';
import { Rollback } from '../../lib/lifecycle/rollback.js';
import { bootFrom } from './boot.js';
import { claimMachine } from './claim.js';
import { freeSandbox } from './free.js';
import type { Host } from './host.js';
import { type RestoreStep, restoreFrom } from './restore.js';
import type { Sandbox } from './sandbox.js';

/** Time for the undo of a start, a VMM that is slow to end included. */
const FREE_TIMEOUT_MS = 60_000;

/** What a machine starts from. */
export type Origin =
  /** Its kernel and disk; `layers` are sealed layers over the image, lowest first. */
  | { kind: 'boot'; layers: readonly string[] }
  /** The memory, disk and devices of another machine; a clone must not be taken for it. */
  | { kind: 'restore'; generationId: string; clone: boolean }
  /** A machine that stands ready for whoever comes (ready-pool.ts). */
  | { kind: 'claim'; ready: Sandbox };

export interface StartRequest {
  origin: Origin;
  /** Environment variables of every program; undefined leaves those that the guest has. */
  env: Record<string, string> | undefined;
  /** Whether a restored guest is told who it is; one that stands ready is told later. */
  identify: boolean;
}

/**
 * When it resolves the guest takes commands and the ledger says so.
 * @returns what was done in a restored guest.
 */
export async function startSandbox(
  host: Host,
  sandbox: Sandbox,
  request: StartRequest,
  signal: AbortSignal,
): Promise<RestoreStep[]> {
  const log = host.log.child({ sandbox_id: sandbox.id });
  await using rollback = new Rollback(
    (step, error) => log.error('undo failed', { step, error }),
    FREE_TIMEOUT_MS,
  );
  // Each thing stands in the entry before it is acquired, so the entry is the list of undos.
  rollback.defer('sandbox', () => undoStart(host, sandbox));
  let steps: RestoreStep[];
  try {
    steps = await startMachine(host, sandbox, request, signal);
    await markRunning(host, sandbox);
  } catch (error) {
    throw isDiskFull(error) ? hostDiskFull(error) : error;
  }
  rollback.commit();
  return steps;
}

async function startMachine(
  host: Host,
  sandbox: Sandbox,
  request: StartRequest,
  signal: AbortSignal,
): Promise<RestoreStep[]> {
  const { origin } = request;
  if (origin.kind === 'claim') return claimMachine(host, sandbox, origin.ready, request, signal);
  await host.ledger.put(sandbox.entry);
  await mkdir(sandbox.entry.runDirectory, { recursive: true, mode: 0o700 });
  await acquireNetwork(host, sandbox, signal);
  if (origin.kind === 'restore') return restoreFrom(host, sandbox, origin, request, signal);
  await bootFrom(host, sandbox, origin.layers, request, signal);
  return [];
}

/** Frees what the entry holds, then forgets it; if that fails the entry stays, as `stopping`. */
async function undoStart(host: Host, sandbox: Sandbox): Promise<void> {
  try {
    await freeSandbox(host, sandbox);
    await host.ledger.remove(sandbox.id);
  } catch (error) {
    sandbox.entry.phase = 'stopping';
    await host.ledger.put(sandbox.entry);
    throw error;
  }
}

async function acquireNetwork(host: Host, sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  await host.network.acquire(async (planned) => {
    sandbox.entry.slot = planned;
    await host.ledger.put(sandbox.entry);
  }, signal);
}

async function markRunning(host: Host, sandbox: Sandbox): Promise<void> {
  sandbox.entry.phase = 'running';
  sandbox.entry.startedAtMs ??= Date.now();
  await host.ledger.put(sandbox.entry);
  sandbox.touch();
}
