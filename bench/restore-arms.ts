/** Ways from nothing to the result of a first command in a restored machine. Its end is not timed. */
import { join } from 'node:path';
import { CreateSandboxRequest, ExecRequest } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { randomId } from '../lib/ids/random-id.js';
import type { AgentLog, StepTimes } from './agent-log.js';
import { type BareRestoreOptions, restoreByHand } from './bare-restore.js';
import { MACHINE } from './create-arms.js';
import type { AgentClient, BenchPlatform } from './platform.js';
import type { Arm } from './rounds.js';

const CALL_TIMEOUT_MS = 300_000;
const PROGRAM_TIMEOUT_SEC = 60;
const GENERATION = 1;

export const BARE_RESTORE = 'bare QEMU and QMP by hand';
export const AGENT_RESTORE = 'agent, CreateSandbox and Exec';
export const PUBLIC_RESTORE = 'public API, gRPC CreateSandbox and Exec';

/** What is run first. */
export interface FirstCommand {
  cmd: string;
  args: string[];
}
export const TRUE: FirstCommand = { cmd: 'true', args: [] };

/** @param marks receives milliseconds from the beginning, by what was reached. */
export function bareRestore(
  name: string,
  options: Omit<BareRestoreOptions, 'directory'>,
  { config }: BenchPlatform,
  marks?: StepTimes[],
): Arm {
  const directory = join(config.runDirectory, 'bare-restore');
  return {
    name,
    measure: async (signal) => {
      const startedAt = performance.now();
      const { machine, marks: reached } = await restoreByHand({ ...options, directory }, signal);
      await using _ = machine;
      await machine.guest.exec(TRUE.cmd, TRUE.args, signal);
      const elapsedMs = performance.now() - startedAt;
      marks?.push({ ...reached, exec: elapsedMs });
      return elapsedMs;
    },
  };
}

export interface AgentRestoreOptions {
  /** Empty for the template itself. */
  snapshotId?: string;
  command?: FirstCommand;
  /** Is told of the running sandbox, after the time was taken. */
  inspect?: (sandboxId: string) => Promise<void>;
}

/** At the agent: without control plane and database. */
export function agentRestore(
  name: string,
  { agent }: BenchPlatform,
  { snapshotId = '', command = TRUE, inspect }: AgentRestoreOptions = {},
): Arm {
  return {
    name,
    measure: async (signal) => {
      const sandboxId = randomId();
      const startedAt = performance.now();
      await createAtAgent(agent, { sandboxId, snapshotId }, signal);
      await execAtAgent(agent, sandboxId, command, signal);
      const elapsedMs = performance.now() - startedAt;
      try {
        await inspect?.(sandboxId);
      } finally {
        await destroyAtAgent(agent, sandboxId, signal);
      }
      return elapsedMs;
    },
  };
}

export function publicRestore({ client }: BenchPlatform): Arm {
  return {
    name: PUBLIC_RESTORE,
    measure: async (signal) => {
      const startedAt = performance.now();
      const { sandboxId } = await client.sandboxes.create(MACHINE, { signal });
      const command = { ...TRUE, timeoutSec: PROGRAM_TIMEOUT_SEC };
      const { exitCode } = await client.exec(sandboxId, command, { signal });
      const elapsedMs = performance.now() - startedAt;
      if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}`);
      await client.sandboxes.delete(sandboxId, { signal });
      return elapsedMs;
    },
  };
}

/** Keeps what the agent's log says of each restore. */
export function readRestores(log: AgentLog, into: StepTimes[]) {
  return async (sandboxId: string): Promise<void> => {
    into.push(await log.stepsOf('machine restored', sandboxId));
  };
}

export async function createAtAgent(
  agent: AgentClient,
  { sandboxId, snapshotId = '' }: { sandboxId: string; snapshotId?: string },
  signal: AbortSignal,
): Promise<void> {
  const request = { ...MACHINE, sandboxId, snapshotId, generation: GENERATION };
  const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
  await agent.createSandbox(CreateSandboxRequest.fromPartial(request), options);
}

/** @throws Error when it does not end with 0. */
export async function execAtAgent(
  agent: AgentClient,
  sandboxId: string,
  command: FirstCommand,
  signal: AbortSignal,
): Promise<string> {
  const request = { ...command, sandboxId, timeoutSec: PROGRAM_TIMEOUT_SEC };
  const { exitCode, stdout, stderr } = await agent.exec(ExecRequest.fromPartial(request), {
    ...{ timeoutMs: CALL_TIMEOUT_MS, signal },
  });
  if (exitCode !== 0) throw new Error(`${command.cmd} ended with ${exitCode}: ${stderr}`);
  return stdout.toString();
}

export async function destroyAtAgent(
  agent: AgentClient,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const request = { sandboxId, generation: GENERATION };
  await agent.destroySandbox(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
}
