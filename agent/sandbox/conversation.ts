/** One conversation with a program: what the caller sends goes to it, what it does comes back. */
import type { ExecStreamRequest, ProcessSpec } from '../../gen/ts/wrenn/v1/process.js';
import { hasReason, WrennError } from '../../lib/errors/index.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { GuestLaunch } from '../guest/guest-processes.js';
import type { GuestProcessEvent } from '../guest/process-events.js';
import { invalidRequest } from './errors.js';
import { followProcess, type Target } from './follow.js';
import type { SandboxRegistry } from './registry.js';
import { acrossPauses } from './runs.js';

/** An event of a program, and which program. */
export interface ProgramEvent {
  processId: string;
  event: GuestProcessEvent;
}

/**
 * Begins with the first request, which names sandbox and program.
 * @throws WrennError INVALID_REQUEST for requests out of order; what following and calling throw.
 */
export async function* converse(
  registry: SandboxRegistry,
  requests: AsyncIterable<ExecStreamRequest>,
  signal: AbortSignal,
): AsyncGenerator<ProgramEvent, void, void> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw invalidRequest('the stream ended before its first message');
  const { sandboxId, message } = first.value;
  const target = toTarget(message);
  const processId = target.kind === 'launch' ? target.program.processId : target.processId;
  const input = new Input(registry, sandboxId, processId);
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const fail = (error: unknown) => ending.abort(error);
  try {
    for await (const event of followProcess(registry, sandboxId, target, either)) {
      // What the caller sends waits until there is a program to send it to.
      if (event.kind === 'started') void input.sendAll(iterator, either).catch(fail);
      yield { processId, event };
    }
  } finally {
    ending.abort(new Error('the conversation is over'));
  }
}

/** The program that a specification stands for, under a new id. */
export function toLaunch(spec: ProcessSpec, holderId: string): GuestLaunch {
  const { cmd, args, env, cwd, user, timeoutSec, pty, closeStdin } = spec;
  return {
    ...{ cmd, args, env, cwd, user, pty, closeStdin, holderId },
    processId: randomId(),
    timeoutMs: timeoutSec * 1000,
  };
}

function toTarget(message: ExecStreamRequest['message']): Target {
  if (message?.$case === 'start') {
    return { kind: 'launch', program: toLaunch(message.value, randomId()) };
  }
  if (message?.$case === 'attach') {
    const { processId, offset } = message.value;
    return { kind: 'attach', processId, offset };
  }
  throw invalidRequest('the first message says start or attach');
}

/** What a caller sends to one program, in order; each piece of input exactly once. */
class Input {
  readonly #registry: SandboxRegistry;
  readonly #sandboxId: string;
  readonly #processId: string;
  readonly #writerId = randomId();
  #sequence = 0;
  #isClosed = false;

  constructor(registry: SandboxRegistry, sandboxId: string, processId: string) {
    this.#registry = registry;
    this.#sandboxId = sandboxId;
    this.#processId = processId;
  }

  async sendAll(requests: AsyncIterator<ExecStreamRequest>, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { done, value } = await requests.next();
      if (done || signal.aborted) return;
      this.#requireOrder(value);
      await this.#send(value.message, signal).catch(ignoreIfOver);
    }
  }

  #requireOrder({ sandboxId, message }: ExecStreamRequest): void {
    if (sandboxId !== '') throw invalidRequest('only the first message names the sandbox');
    if (message?.$case === 'stdin' && this.#isClosed) throw guestFailure('input_closed');
    this.#isClosed ||= message?.$case === 'closeStdin';
  }

  async #send(message: ExecStreamRequest['message'], signal: AbortSignal): Promise<void> {
    const processId = this.#processId;
    // One at a time, and the stream counts already: no call of its own for the sandbox.
    const toGuest = (call: (guest: GuestClient) => Promise<void>) =>
      acrossPauses(this.#registry, this.#sandboxId, signal, call);
    switch (message?.$case) {
      case 'stdin': {
        this.#sequence += 1;
        const piece = { processId, writerId: this.#writerId, sequence: this.#sequence };
        const input = message.value;
        return toGuest(({ processes }) => processes.sendInput({ ...piece, input }, signal));
      }
      case 'closeStdin':
        return toGuest(({ processes }) => processes.closeStdin(processId, signal));
      case 'resize':
        return toGuest(({ processes }) => processes.resize(processId, message.value, signal));
      case 'signal':
        // The contract numbers signals as Linux does.
        return toGuest(({ processes }) => processes.sendSignal(processId, message.value, signal));
      default:
        throw invalidRequest('a program is started, or attached to, in the first message only');
    }
  }
}

/** Who types while a program ends has made no mistake; its end is told on the stream. */
function ignoreIfOver(error: unknown): void {
  const isOver =
    hasReason(error, 'PROCESS_STATE') &&
    OVER.includes(WrennError.from(error).metadata.failure ?? '');
  if (!isOver) throw error;
}

/** Failures of a guest that say that a program takes no more. */
const OVER = ['process_ended', 'input_closed'];
