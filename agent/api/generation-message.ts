/** Generations, snapshots and copies as the contract has them. */
import type {
  ForkResult as ForkResultMessage,
  Generation,
  Snapshot,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { reasonNumber } from '../../lib/errors/index.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { ForkResult } from '../sandbox/fork.js';
import type { SnapshotInfo } from '../sandbox/snapshots.js';
import type { Lineage } from '../snapshot/generation.js';
import { toSandboxMessage } from './sandbox-message.js';

export function toSnapshot({ snapshotId, vcpus, memoryMb, sizeBytes }: SnapshotInfo): Snapshot {
  return { snapshotId, vcpus, memoryMb, sizeBytes };
}

export function toGeneration({ id, createdAtMs, memoryBytes, diskBytes }: Lineage): Generation {
  return { generationId: id, createdAt: toTimestamp(createdAtMs), memoryBytes, diskBytes };
}

export function toForkResult(result: ForkResult): ForkResultMessage {
  if (result.kind === 'sandbox') {
    return { result: { $case: 'sandbox', value: toSandboxMessage(result.sandbox) } };
  }
  const { code, reason } = result.error;
  return { result: { $case: 'error', value: { code, reason: reasonNumber(reason) } } };
}
