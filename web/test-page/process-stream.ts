/**
 * A conversation with a program over a WebSocket. When the connection breaks
 * it attaches again at the next offset, so nothing is shown twice, and nothing
 * is lost as long as the server still keeps it. Input that was under way when
 * the connection broke is not sent again: it may have arrived.
 */
import { ApiError, call, sandboxPath } from './api.js';
import { fromBase64, toBase64, toBase64Url } from './base64.js';
import { current } from './session.js';
import type { Exited, Output, ProcessEvent, Status } from './types.js';

const PROTOCOL = 'wrenn.v1.json';
/** Bytes of one input message that the API takes. */
const INPUT_BYTES_MAX = 65_536;
/** Messages that wait for a connection. */
const WAITING_MAX = 256;
const RECONNECT_PAUSE_MS = 500;
const RECONNECT_PAUSE_MS_MAX = 5_000;
/** Output that waits to be drawn: beyond it the connection is given up until it has been. */
const UNDRAWN_BYTES_MAX = 8 * 1024 * 1024;
const UNDRAWN_BYTES_MIN = 1024 * 1024;
/** Errors that pass: the next attempt may succeed. */
const PASSING_REASONS = [
  'HOST_UNAVAILABLE',
  'SANDBOX_STATE',
  'GUEST_UNREACHABLE',
  'OVERLOADED',
  'SHUTTING_DOWN',
];

export type First =
  | { start: Record<string, unknown> }
  | { attach: { process_id: string; offset?: number } };

export type Message =
  | { stdin: string }
  | { close_stdin: object }
  | { resize: { cols: number; rows: number } }
  | { signal: string };

export interface StreamHandlers {
  started(processId: string): void;
  /** Resolves when it has been drawn. */
  output(bytes: Uint8Array, kind: 'stdout' | 'stderr' | 'pty'): Promise<void>;
  /** Bytes that the server no longer keeps. */
  gap(bytes: number): void;
  waiting(): void;
  exited(exited: Exited): void;
  failed(error: unknown): void;
}

export class ProcessStream {
  readonly #sandboxId: string;
  readonly #handlers: StreamHandlers;
  #first: First;
  #socket: WebSocket | undefined;
  #processId = '';
  #nextOffset: number | undefined;
  #isStarted = false;
  #isOver = false;
  #failure: Status | undefined;
  #waiting: Message[] = [];
  #undrawnBytes = 0;
  /** Whether a connection is to be made again, as soon as there is room for what it brings. */
  #isLost = false;
  #pauseMs = RECONNECT_PAUSE_MS;
  #timer: number | undefined;

  constructor(sandboxId: string, first: First, handlers: StreamHandlers) {
    this.#sandboxId = sandboxId;
    this.#first = first;
    this.#handlers = handlers;
    if ('attach' in first) {
      this.#processId = first.attach.process_id;
      this.#nextOffset = first.attach.offset;
    }
    this.#connect();
  }

  /** Adds to the program's input, in pieces that the API takes. */
  type(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; start += INPUT_BYTES_MAX) {
      this.send({ stdin: toBase64(bytes.subarray(start, start + INPUT_BYTES_MAX)) });
    }
  }

  /** Sends now, or when there is a connection again; too much that waits is dropped. */
  send(message: Message): void {
    if (this.#isOver) return;
    if (this.#socket?.readyState === WebSocket.OPEN && this.#isStarted) {
      this.#socket.send(JSON.stringify(message));
      return;
    }
    // Of several sizes only the last one counts.
    if ('resize' in message) this.#waiting = this.#waiting.filter((each) => !('resize' in each));
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(message);
  }

  /** Breaks the connection as a network does; it comes back by itself. */
  interrupt(): void {
    this.#drop();
  }

  /** Leaves the program alone: it goes on. */
  close(): void {
    this.#isOver = true;
    window.clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #connect(): void {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const path = sandboxPath(this.#sandboxId, '/exec/stream');
    const credential = `wrenn.auth.${toBase64Url(current().apiKey)}`;
    const socket = new WebSocket(`${scheme}//${location.host}${path}`, [PROTOCOL, credential]);
    this.#socket = socket;
    this.#isStarted = false;
    this.#isLost = false;
    this.#failure = undefined;
    // A connection that was given up may go on for a while; nobody listens to it then.
    const isCurrent = () => socket === this.#socket;
    socket.addEventListener('open', () => {
      if (isCurrent()) socket.send(JSON.stringify(this.#firstMessage()));
    });
    socket.addEventListener('message', ({ data }) => {
      if (isCurrent()) this.#receive(String(data));
    });
    socket.addEventListener('close', () => {
      if (isCurrent()) this.#drop();
    });
  }

  #firstMessage(): First {
    if (this.#processId === '') return this.#first;
    const offset = this.#nextOffset === undefined ? {} : { offset: this.#nextOffset };
    return { attach: { process_id: this.#processId, ...offset } };
  }

  #receive(text: string): void {
    if (this.#isOver) return;
    const event = JSON.parse(text) as ProcessEvent;
    if (event.error) this.#failure = event.error;
    if (event.started) this.#started(event.started.process_id);
    for (const kind of ['stdout', 'stderr', 'pty'] as const) {
      const output = event[kind];
      if (output) this.#output(output, kind);
    }
    if (event.exited) {
      this.#isOver = true;
      this.#handlers.exited(event.exited);
    }
  }

  #started(processId: string): void {
    this.#isStarted = true;
    this.#processId = processId;
    this.#pauseMs = RECONNECT_PAUSE_MS;
    this.#handlers.started(processId);
    for (const message of this.#waiting.splice(0)) this.send(message);
  }

  #output({ offset, data }: Output, kind: 'stdout' | 'stderr' | 'pty'): void {
    const bytes = fromBase64(data);
    const seen = Math.max(0, (this.#nextOffset ?? offset) - offset);
    if (seen >= bytes.length) return;
    const fresh = bytes.subarray(seen);
    this.#nextOffset = offset + bytes.length;
    this.#undrawnBytes += fresh.length;
    void this.#handlers.output(fresh, kind).then(() => this.#drawn(fresh.length));
    // A browser cannot stop reading a WebSocket, so an endless output would fill its memory.
    if (this.#undrawnBytes > UNDRAWN_BYTES_MAX) this.#drop();
  }

  #drawn(bytes: number): void {
    this.#undrawnBytes -= bytes;
    if (this.#isLost && this.#timer === undefined && this.#undrawnBytes < UNDRAWN_BYTES_MIN) {
      this.#reconnectIn(0);
    }
  }

  /** Gives the connection up without waiting for the other side to agree. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    if (socket && !this.#isOver) void this.#closed();
  }

  async #closed(): Promise<void> {
    const failure = this.#failure && new ApiError(this.#failure);
    if (failure?.reason === 'OUTPUT_OUT_OF_RANGE') return this.#skip(failure);
    if (failure && !PASSING_REASONS.includes(failure.reason)) return this.#fail(failure);
    // Whether a start that was not answered has started something cannot be known.
    if (this.#processId === '') return this.#fail(failure ?? (await this.#whyRefused()));
    this.#isLost = true;
    this.#handlers.waiting();
    if (this.#undrawnBytes >= UNDRAWN_BYTES_MIN) return;
    this.#reconnectIn(this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, RECONNECT_PAUSE_MS_MAX);
  }

  #skip({ metadata }: ApiError): void {
    const first = Number(metadata.first_offset ?? 0);
    this.#handlers.gap(Math.max(0, first - (this.#nextOffset ?? 0)));
    this.#nextOffset = first;
    this.#reconnectIn(0);
  }

  #reconnectIn(pauseMs: number): void {
    this.#timer = window.setTimeout(() => {
      this.#timer = undefined;
      if (!this.#isOver) this.#connect();
    }, pauseMs);
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.#handlers.failed(error);
  }

  /** A browser does not tell the answer to a refused upgrade; a plain call may. */
  async #whyRefused(): Promise<unknown> {
    try {
      await call('GET', sandboxPath(this.#sandboxId));
    } catch (error) {
      return error;
    }
    return new Error('The WebSocket could not be opened.');
  }
}
