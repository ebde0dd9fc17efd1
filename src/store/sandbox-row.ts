/** A row of `sandboxes` with the name of its template. */
import type { Reason } from '../../lib/errors/index.js';
import type { SandboxRecord, SandboxState, TimeoutAction } from './sandbox.js';

export interface SandboxRow {
  id: string;
  team_id: string;
  template_id: string;
  template: string;
  host_id: string;
  state: string;
  state_reason: string | null;
  version: number;
  generation: number;
  vcpus: number;
  memory_mb: number;
  timeout_sec: number;
  on_timeout: string;
  metadata: Record<string, string>;
  guest_ip: string;
  host_ip: string;
  created_at: Date;
  state_at: Date;
  started_at: Date | null;
  last_active_at: Date;
  paused_at: Date | null;
}

export function toSandboxRecord(row: SandboxRow): SandboxRecord {
  return {
    id: row.id,
    teamId: row.team_id,
    templateId: row.template_id,
    template: row.template,
    hostId: row.host_id,
    state: row.state as SandboxState,
    stateReason: (row.state_reason as Reason | null) ?? undefined,
    version: row.version,
    generation: row.generation,
    vcpus: row.vcpus,
    memoryMb: row.memory_mb,
    timeoutSec: row.timeout_sec,
    onTimeout: row.on_timeout as TimeoutAction,
    metadata: row.metadata,
    guestIp: row.guest_ip,
    hostIp: row.host_ip,
    createdAt: row.created_at,
    stateAt: row.state_at,
    startedAt: row.started_at ?? undefined,
    lastActiveAt: row.last_active_at,
    pausedAt: row.paused_at ?? undefined,
  };
}
