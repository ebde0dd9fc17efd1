/** What a test may make the host agent in memory do, and what it does when nothing is said. */
import type {
  CreateSandboxRequest,
  CreateSnapshotRequest,
  ExecRequest,
  ExecResponse,
  ForkSandboxRequest,
  Host,
  PauseSandboxRequest,
  ResumeSandboxRequest,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { Reason } from '../../lib/errors/index.js';
import { delay } from '../../lib/lifecycle/delay.js';

/** Each `before…` runs before its step succeeds, and throws to fail it. */
export interface AgentScript {
  host: Host;
  complete: boolean;
  /** The signal aborts when the boot is called off. */
  beforeBoot: (request: CreateSandboxRequest, signal: AbortSignal) => Promise<void>;
  beforeDestroy: (sandboxId: string) => Promise<void>;
  beforePause: (request: PauseSandboxRequest) => Promise<void>;
  /** The signal aborts when the sandbox is destroyed. */
  beforeResume: (request: ResumeSandboxRequest, signal: AbortSignal) => Promise<void>;
  beforeSnapshot: (request: CreateSnapshotRequest) => Promise<void>;
  beforeDeleteSnapshot: (snapshotId: string) => Promise<void>;
  beforeFork: (request: ForkSandboxRequest) => Promise<void>;
  /** Why this copy, by its place, cannot be started. */
  forkFailure: (index: number) => Reason | undefined;
  /** Throws when the newest generation is damaged. */
  verify: (sandboxId: string) => Promise<void>;
  exec: (request: ExecRequest, signal: AbortSignal) => Promise<ExecResponse>;
}

export function defaultScript(): AgentScript {
  const nothing = async () => undefined;
  return {
    host: {
      hostId: 'fakehost',
      driver: 'fake',
      accelerator: 'none',
      templates: ['minimal'],
      runId: 'run1',
      memoryMbTotal: 1_000_000,
      memoryMbUsed: 0,
    },
    complete: true,
    beforeBoot: nothing,
    beforeDestroy: nothing,
    beforePause: nothing,
    beforeResume: nothing,
    beforeSnapshot: nothing,
    beforeDeleteSnapshot: nothing,
    beforeFork: nothing,
    forkFailure: () => undefined,
    verify: nothing,
    exec: async (request) => answerOf(`${[request.cmd, ...request.args].join(' ')}\n`),
  };
}

/** The answer of a program that printed this and ended with 0. */
export function answerOf(
  stdout: string | Buffer,
  fields: Partial<ExecResponse> = {},
): ExecResponse {
  return {
    stdout: Buffer.from(stdout as string),
    stderr: Buffer.alloc(0),
    stdoutTruncated: false,
    stderrTruncated: false,
    exitCode: 0,
    signal: '',
    durationMs: 1,
    ...fields,
  };
}

/** Resolves never, and rejects when the signal aborts. */
export async function untilAborted(signal: AbortSignal): Promise<never> {
  await delay(2 ** 31 - 1, signal);
  throw new Error('aborted signals reject');
}
