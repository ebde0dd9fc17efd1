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
  | { kind: 'restore'; generationId: string; clone: boolean };

export interface StartRequest {
  origin: Origin;
  /** Environment variables of every program; undefined leaves those that the guest has. */
  env: Record<string, string> | undefined;
  /** Whether the guest is told who it is; a template's machine must not know. */
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
  let steps: RestoreStep[] = [];
  try {
    await host.ledger.put(sandbox.entry);
    await mkdir(sandbox.entry.runDirectory, { recursive: true, mode: 0o700 });
    await acquireNetwork(host, sandbox, signal);
    if (request.origin.kind === 'boot') {
      await bootFrom(host, sandbox, request.origin.layers, request, signal);
    } else {
      steps = await restoreFrom(host, sandbox, request.origin, request, signal);
    }
    await markRunning(host, sandbox);
  } catch (error) {
    throw isDiskFull(error) ? hostDiskFull(error) : error;
  }
  rollback.commit();
  return steps;
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
