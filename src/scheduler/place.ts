/**
 * Chooses the host of a new sandbox. There is one host; what it cannot run is
 * refused here, before anything is stored. The agent checks again, so a race
 * for the last memory has one winner.
 */
import type { Host } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, WrennError } from '../../lib/errors/index.js';

const RETRY_AFTER_SEC = 10;

export interface Placement {
  template: string;
  memoryMb: number;
  /** The only host that has it, when the template is a snapshot. */
  snapshotHostId?: string | undefined;
}

/**
 * @returns the id of the host.
 * @throws TEMPLATE_NOT_FOUND, HOST_EXHAUSTED, HOST_UNAVAILABLE when the snapshot's host is another one.
 */
export function place({ template, memoryMb, snapshotHostId }: Placement, host: Host): string {
  if (snapshotHostId !== undefined) requireHost(snapshotHostId, host);
  else if (!host.templates.includes(template)) throw templateNotFound(template);
  const freeMb = Math.max(0, host.memoryMbTotal - host.memoryMbUsed);
  if (memoryMb > freeMb) throw hostExhausted(freeMb, memoryMb <= host.memoryMbTotal);
  return host.hostId;
}

export function templateNotFound(template: string): WrennError {
  return new WrennError(Code.NOT_FOUND, 'TEMPLATE_NOT_FOUND', 'there is no template of this name', {
    metadata: { template },
  });
}

function requireHost(hostId: string, host: Host): void {
  if (host.hostId === hostId) return;
  throw new WrennError(
    Code.UNAVAILABLE,
    'HOST_UNAVAILABLE',
    'the host that has the snapshot does not answer; try again in a moment',
    { metadata: { host_id: hostId }, retryAfterSec: RETRY_AFTER_SEC },
  );
}

/** @param fits whether it would fit on an empty host: only then it is worth another try. */
function hostExhausted(freeMb: number, fits: boolean): WrennError {
  return new WrennError(
    Code.RESOURCE_EXHAUSTED,
    'HOST_EXHAUSTED',
    `the host has ${freeMb} MiB of memory left for sandboxes`,
    {
      metadata: { memory_mb_free: String(freeMb) },
      ...(fits ? { retryAfterSec: RETRY_AFTER_SEC } : {}),
    },
  );
}
