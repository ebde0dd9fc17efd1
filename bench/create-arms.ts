/** Ways to boot a sandbox, each deleted again before the next one; the deletion is not timed. */
import { CreateSandboxRequest } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { randomId } from '../lib/ids/random-id.js';
import { BareMachine } from './bare-machine.js';
import type { BenchPlatform } from './platform.js';
import type { Arm } from './rounds.js';

const CREATE_TIMEOUT_MS = 300_000;
const DESTROY_TIMEOUT_MS = 60_000;
const GENERATION = 1;

export const PUBLIC_CREATE = 'public API, gRPC CreateSandbox';
export const DIRECT_CREATE = 'agent, CreateSandbox';
export const BARE_BOOT = 'bare QEMU, until envd answers';

/** What every sandbox and the bare machine get. */
export const MACHINE = { template: 'minimal', vcpus: 1, memoryMb: 512 } as const;

/** From the call until the answer, at which the sandbox takes commands. */
export function publicCreate({ client }: BenchPlatform): Arm {
  return {
    name: PUBLIC_CREATE,
    measure: async (signal) => {
      const startedAt = performance.now();
      const { sandboxId } = await client.sandboxes.create(MACHINE, { signal });
      const elapsedMs = performance.now() - startedAt;
      await client.sandboxes.delete(sandboxId, { signal });
      return elapsedMs;
    },
  };
}

/** The same at the agent: without control plane and database. */
export function directCreate({ agent }: BenchPlatform): Arm {
  return {
    name: DIRECT_CREATE,
    measure: async (signal) => {
      const sandboxId = randomId();
      const request = CreateSandboxRequest.fromPartial({
        ...{ ...MACHINE, sandboxId, generation: GENERATION },
      });
      const startedAt = performance.now();
      await agent.createSandbox(request, { timeoutMs: CREATE_TIMEOUT_MS, signal });
      const elapsedMs = performance.now() - startedAt;
      await agent.destroySandbox(
        { sandboxId, generation: GENERATION },
        { timeoutMs: DESTROY_TIMEOUT_MS, signal },
      );
      return elapsedMs;
    },
  };
}

/** The same images in QEMU by hand: no agent, no confinement, no network namespace. */
export function bareBoot(machine: BareMachine): Arm {
  return { name: BARE_BOOT, measure: (signal) => machine.boot(signal) };
}

/** The bare machine for a platform, with the platform's images and accelerator. */
export async function bareMachineFor(
  { config }: BenchPlatform,
  accelerator: string,
): Promise<BareMachine> {
  return await BareMachine.prepare({
    directory: config.runDirectory,
    imagesDirectory: config.imagesDirectory,
    accelerator: accelerator === 'kvm' ? 'kvm' : 'tcg',
    ...MACHINE,
  });
}
