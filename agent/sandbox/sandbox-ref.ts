/**
 * What the store of generations keeps of a paused sandbox beside its
 * generation: all that is needed to list it and to bring it back. It outlives
 * the host's boot, which the ledger does not.
 */
import type { Reason } from '../../lib/errors/index.js';
import type { SandboxImages } from '../ledger/entry.js';
import type { Ref, RefPhase } from '../snapshot/generation.js';
import type { SandboxEntry } from './entry.js';

export interface PausedSandbox {
  sandboxId: string;
  generationId: string;
  /** Fencing number of the newest command. */
  generation: number;
  template: string;
  /** Images and layers of its disk, so that it can be booted although the rest is damaged. */
  images: SandboxImages;
  layers: string[];
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  pauseOnTimeout: boolean;
  /** For a boot from the disk: the guest's own copy is in its memory. */
  env: Record<string, string>;
  createdAtMs: number;
  startedAtMs: number;
  lastActiveAtMs: number;
  pausedAtMs: number;
  /** Why it was paused when nobody asked for it. */
  pauseReason?: Reason;
}

export function toPausedSandbox({ name, generationId, details }: Ref): PausedSandbox {
  const rest = details as unknown as Omit<PausedSandbox, 'sandboxId' | 'generationId'>;
  return { ...rest, sandboxId: name, generationId };
}

export function toRef(paused: PausedSandbox, phase: RefPhase): Ref {
  const { sandboxId, generationId, ...details } = paused;
  return {
    kind: 'sandbox',
    name: sandboxId,
    generationId,
    phase,
    updatedAtMs: Date.now(),
    details,
  };
}

/** @param lastActiveAtMs when it was last used. */
export function pausedNow(
  entry: SandboxEntry,
  generationId: string,
  lastActiveAtMs: number,
  pauseReason?: Reason,
): PausedSandbox {
  const { sandboxId, generation, template, vcpus, memoryMb, timeoutSec, pauseOnTimeout } = entry;
  return {
    ...{ sandboxId, generationId, generation, template, vcpus, memoryMb, timeoutSec },
    pauseOnTimeout,
    images: entry.images,
    layers: entry.rootfs ? [...entry.rootfs.layers, entry.rootfs.layer] : [],
    env: entry.env,
    createdAtMs: entry.createdAtMs,
    startedAtMs: entry.startedAtMs ?? entry.createdAtMs,
    lastActiveAtMs,
    pausedAtMs: Date.now(),
    ...(pauseReason ? { pauseReason } : {}),
  };
}
