/** A scripted ExecStream behind the gateway, and what a test can see of it. */
import { once } from 'node:events';
import type { ExecStreamRequest, ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import type { Script } from './gateway-fixture.js';

/** What the service does with one call. */
export type Behaviour = (
  requests: AsyncIterable<ExecStreamRequest>,
  signal: AbortSignal,
) => AsyncIterable<ProcessEvent>;

export class ExecStreamScript {
  behave: Behaviour = echo;
  /** Calls that are open now. */
  open = 0;
  /** Calls that were cancelled so far. */
  cancelled = 0;

  readonly script: Script = {
    processes: {
      execStream: ({ signal }, requests) => this.#serve(requests, signal),
    },
  };

  async *#serve(
    requests: AsyncIterable<ExecStreamRequest>,
    signal: AbortSignal,
  ): AsyncIterable<ProcessEvent> {
    this.open += 1;
    signal.addEventListener('abort', () => {
      this.cancelled += 1;
    });
    try {
      yield* this.behave(requests, signal);
    } finally {
      this.open -= 1;
    }
  }
}

/** Says `started`, then gives back each input with its offset. */
export async function* echo(
  requests: AsyncIterable<ExecStreamRequest>,
): AsyncIterable<ProcessEvent> {
  let offset = 0;
  for await (const { sandboxId, message } of requests) {
    if (message?.$case === 'start') {
      yield { event: { $case: 'started', value: { processId: sandboxId, pid: 1 } } };
    }
    if (message?.$case === 'stdin') {
      yield output(message.value, offset);
      offset += message.value.length;
    }
  }
}

/** Reads all requests and says nothing until the call is cancelled. */
export async function* silent(
  requests: AsyncIterable<ExecStreamRequest>,
  signal: AbortSignal,
): AsyncIterable<ProcessEvent> {
  for await (const _ of requests);
  if (!signal.aborted) await once(signal, 'abort');
  yield exited();
}

export function output(data: Buffer, offset: number): ProcessEvent {
  return { event: { $case: 'stdout', value: { offset, data } } };
}

export function exited(): ProcessEvent {
  const value = { exitCode: 0, signal: '', reason: 1, durationMs: 1 };
  return { event: { $case: 'exited', value } };
}

/** The text message of an input. */
export function stdin(data: string | Buffer): string {
  return JSON.stringify({ stdin: Buffer.from(data).toString('base64') });
}

/** What an output message holds. */
export function textOf({ stdout }: { stdout: { data: string } }): string {
  return Buffer.from(stdout.data, 'base64').toString();
}
