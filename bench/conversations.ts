/** Conversations with programs, by the ways that a benchmark compares. */
import type { WrennClient } from '../clients/typescript/index.js';
import {
  ExecStreamRequest,
  type ProcessEvent,
  ProcessSpec,
  Signal,
} from '../gen/ts/wrenn/v1/process.js';
import { CALL_TIMEOUT_MS } from './call-arms.js';
import type { AgentClient } from './platform.js';

/** Longest conversation that a benchmark has. */
const STREAM_TIMEOUT_MS = 600_000;

/** What is run. */
export interface Command {
  cmd: string;
  args?: string[];
}

/** One way to talk with programs of one sandbox. */
export interface Conversations {
  /** Starts a program and tells what it does. */
  start(command: Command, signal: AbortSignal): AsyncIterable<ProcessEvent>;
  kill(processId: string, signal: AbortSignal): Promise<void>;
}

export function atAgent(agent: AgentClient, sandboxId: string): Conversations {
  return {
    start: (command, signal) => {
      const value = ProcessSpec.fromPartial(command);
      const request = ExecStreamRequest.create({ sandboxId, message: { $case: 'start', value } });
      return agent.execStream(once(request), { timeoutMs: STREAM_TIMEOUT_MS, signal });
    },
    kill: async (processId, signal) => {
      const request = { sandboxId, processId, signal: Signal.SIGNAL_KILL };
      await agent.sendSignal(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
    },
  };
}

export function throughApi({ processes }: WrennClient, sandboxId: string): Conversations {
  return {
    start: (command, signal) => processes.run(sandboxId, command, { signal }),
    kill: (processId, signal) =>
      processes.signal(sandboxId, processId, Signal.SIGNAL_KILL, { signal }),
  };
}

/** @returns milliseconds until the first byte of output; then reads on to the end. */
export async function timeToFirstByte(
  conversations: Conversations,
  command: Command,
  signal: AbortSignal,
): Promise<number> {
  const startedAt = performance.now();
  let elapsedMs: number | undefined;
  for await (const { event } of conversations.start(command, signal)) {
    if (event?.$case === 'stdout') elapsedMs ??= performance.now() - startedAt;
  }
  if (elapsedMs === undefined) throw new Error(`${command.cmd} printed nothing`);
  return elapsedMs;
}

/**
 * Reads so much of a program that prints without end, and kills it.
 * @returns milliseconds for these bytes, counted from the first piece, which is not one of them.
 */
export async function timeOfOutput(
  conversations: Conversations,
  command: Command,
  bytes: number,
  signal: AbortSignal,
): Promise<number> {
  let processId = '';
  let startedAt: number | undefined;
  let elapsedMs: number | undefined;
  let left = bytes;
  for await (const { event } of conversations.start(command, signal)) {
    if (event?.$case === 'started') processId = event.value.processId;
    if (event?.$case !== 'stdout' || elapsedMs !== undefined) continue;
    if (startedAt === undefined) startedAt = performance.now();
    else left -= event.value.data.length;
    if (left > 0) continue;
    elapsedMs = performance.now() - startedAt;
    await conversations.kill(processId, signal);
  }
  if (elapsedMs === undefined) throw new Error(`${command.cmd} ended by itself`);
  return elapsedMs;
}

export async function* once<T>(value: T): AsyncGenerator<T, void, void> {
  yield value;
}
