/** Bare clients of a guest daemon's services, for the suites that every daemon must pass. */
import { credentials } from '@grpc/grpc-js';
import { FilesystemServiceService } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/envd/v1/process.js';
import { ENVD_TOKEN_KEY } from '../../lib/guest/contract.js';
import { type ClientCallOptions, createClient } from '../../lib/rpc/client.js';

const CALL_TIMEOUT_MS = 20_000;

export function connectGuest(target: string) {
  const insecure = credentials.createInsecure();
  const guest = createClient(GuestServiceService, target, insecure);
  const processes = createClient(ProcessServiceService, target, insecure);
  const files = createClient(FilesystemServiceService, target, insecure);
  return {
    guest,
    processes,
    files,
    close() {
      for (const client of [guest, processes, files]) client.close();
    },
  };
}

export type GuestCalls = ReturnType<typeof connectGuest>;

/** Options of a call that carries a token. */
export function callOptions(token: string, signal?: AbortSignal): ClientCallOptions {
  const metadata = { [ENVD_TOKEN_KEY]: token };
  return { timeoutMs: CALL_TIMEOUT_MS, metadata, ...(signal ? { signal } : {}) };
}

/** Makes the guest a sandbox under a token. */
export async function initializeGuest({ guest }: GuestCalls, token: string): Promise<void> {
  const identity = { sandboxId: 'sandboxoftest', templateId: 'minimal', env: {} };
  const wallClockNs = BigInt(Date.now()) * 1_000_000n;
  await guest.postInit({ ...identity, token, wallClockNs }, callOptions(token));
}
