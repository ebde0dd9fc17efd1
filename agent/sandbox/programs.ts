/** What can be asked about the programs of a sandbox. */
import type {
  AttachRequest,
  ExecStreamRequest,
  SendInputRequest,
  SendSignalRequest,
  StartRequest,
} from '../../gen/ts/wrenn/v1/process.js';
import { guestFailure } from '../../lib/guest/guest-failure.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { GuestClient } from '../guest/guest-client.js';
import type { GuestProcess } from '../guest/guest-processes.js';
import { converse, type ProgramEvent, toLaunch } from './conversation.js';
import { invalidRequest } from './errors.js';
import { followProcess } from './follow.js';
import type { SandboxRegistry } from './registry.js';
import { acrossPauses, currentRun } from './runs.js';
import { withGuest } from './with-guest.js';

export class Programs {
  readonly #registry: SandboxRegistry;
  readonly #ready: () => Promise<void>;

  /** @param ready resolves when the sandboxes of an earlier run are known. */
  constructor(registry: SandboxRegistry, ready: () => Promise<void>) {
    this.#registry = registry;
    this.#ready = ready;
  }

  /** A conversation with a program. */
  async *converse(
    requests: AsyncIterable<ExecStreamRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<ProgramEvent, void, void> {
    await this.#ready();
    using streaming = this.#registry.streaming(signal);
    yield* converse(this.#registry, requests, streaming.signal);
  }

  /** Starts a program that nobody waits for. @returns what it is, once it runs. */
  async start({ sandboxId, process }: StartRequest, signal: AbortSignal): Promise<GuestProcess> {
    await this.#ready();
    if (!process) throw invalidRequest('process: there is no program');
    const program = toLaunch(process, '');
    const target = { kind: 'launch', program } as const;
    for await (const event of followProcess(this.#registry, sandboxId, target, signal)) {
      if (event.kind === 'started') break;
    }
    // It runs, so that a pause is no reason to say that it does not.
    const listed = await acrossPauses(this.#registry, sandboxId, signal, ({ processes }, sandbox) =>
      sandbox.active(() => processes.list(signal)),
    );
    const started = listed.find(({ processId }) => processId === program.processId);
    if (!started) throw guestFailure('process_not_found');
    return started;
  }

  /** Follows a program from an offset. */
  async *follow(
    { sandboxId, processId, offset }: AttachRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ProgramEvent, void, void> {
    await this.#ready();
    const target = { kind: 'attach', processId, offset } as const;
    using streaming = this.#registry.streaming(signal);
    const events = followProcess(this.#registry, sandboxId, target, streaming.signal);
    for await (const event of events) {
      yield { processId, event };
    }
  }

  list(sandboxId: string, signal: AbortSignal): Promise<GuestProcess[]> {
    return this.#call(sandboxId, ({ processes }) => processes.list(signal));
  }

  sendSignal(request: SendSignalRequest, signal: AbortSignal): Promise<void> {
    const { sandboxId, processId } = request;
    // The contract numbers signals as Linux does.
    return this.#call(sandboxId, ({ processes }) =>
      processes.sendSignal(processId, request.signal, signal),
    );
  }

  /** Adds to a program's input, once, also when a pause comes in between. */
  async sendInput(request: SendInputRequest, signal: AbortSignal): Promise<void> {
    await this.#ready();
    const { sandboxId, processId, input } = request;
    // Who begins with a paused sandbox is told so.
    currentRun(this.#registry, sandboxId);
    const piece = { processId, input, writerId: randomId(), sequence: 1 };
    await acrossPauses(this.#registry, sandboxId, signal, ({ processes }, sandbox) =>
      sandbox.active(() => processes.sendInput(piece, signal)),
    );
  }

  closeStdin(sandboxId: string, processId: string, signal: AbortSignal): Promise<void> {
    return this.#call(sandboxId, ({ processes }) => processes.closeStdin(processId, signal));
  }

  async #call<T>(sandboxId: string, call: (guest: GuestClient) => Promise<T>): Promise<T> {
    await this.#ready();
    return withGuest(this.#registry, sandboxId, call);
  }
}
