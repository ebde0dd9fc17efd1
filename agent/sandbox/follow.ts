/**
 * Follows a program of a sandbox to its end, across pauses: after each resume
 * it goes on at the offset at which it was, so that no output is lost or told
 * twice.
 */
import type { GuestClient } from '../guest/guest-client.js';
import type { GuestLaunch } from '../guest/guest-processes.js';
import type { GuestProcessEvent } from '../guest/process-events.js';
import { Attachments } from './attachments.js';
import type { SandboxRegistry } from './registry.js';

/** What is followed: a program to start, or one that was started, from an offset. */
export type Target =
  | { kind: 'launch'; program: GuestLaunch }
  | { kind: 'attach'; processId: string; offset: number | undefined };

/**
 * @returns `started` once, output without gap or repetition, `exited`.
 * @throws WrennError SANDBOX_NOT_FOUND, SANDBOX_STATE, STREAM_LIMIT, and what launching and
 *   attaching throw.
 */
export async function* followProcess(
  registry: SandboxRegistry,
  sandboxId: string,
  target: Target,
  signal: AbortSignal,
): AsyncGenerator<GuestProcessEvent, void, void> {
  const place = new Place(target);
  signal.throwIfAborted();
  using attachments = new Attachments(
    registry,
    sandboxId,
    (guest, either) => place.open(guest, either),
    signal,
  );
  for (;;) {
    const { run, events } = await attachments.live();
    try {
      for await (const event of events) {
        // What is left of a run that is over is told again by the next one.
        if (run.isOver()) break;
        const news = place.advance(event);
        if (news) yield news;
        if (event.kind === 'exited') return;
      }
    } catch (error) {
      if (signal.aborted || !run.isOver()) throw error;
    }
  }
}

/** How far a program has been followed. */
class Place {
  readonly #target: Target;
  #hasStarted = false;
  #offset: number | undefined;

  constructor(target: Target) {
    this.#target = target;
    this.#offset = target.kind === 'launch' ? 0 : target.offset;
  }

  open(guest: GuestClient, signal: AbortSignal): AsyncIterable<GuestProcessEvent> {
    const target = this.#target;
    if (target.kind === 'attach') {
      const { processId } = target;
      return guest.processes.attach({ processId, offset: this.#offset, holderId: '' }, signal);
    }
    // Until the guest has said that it runs it may not have heard of it; asking twice is harmless.
    if (!this.#hasStarted) return guest.processes.launch(target.program, signal);
    const { processId, holderId } = target.program;
    return guest.processes.attach({ processId, offset: this.#offset, holderId }, signal);
  }

  /** Notes an event. @returns what of it is news. */
  advance(event: GuestProcessEvent): GuestProcessEvent | undefined {
    switch (event.kind) {
      case 'started': {
        const isNews = !this.#hasStarted;
        this.#hasStarted = true;
        return isNews ? event : undefined;
      }
      case 'output': {
        const { offset, data } = event;
        const known = Math.max(0, (this.#offset ?? offset) - offset);
        if (known >= data.length) return undefined;
        this.#offset = offset + data.length;
        return { ...event, offset: offset + known, data: data.subarray(known) };
      }
      case 'exited':
        return event;
    }
  }
}
