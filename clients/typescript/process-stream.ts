/** A conversation with one program over one stream. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  ExecStreamRequest,
  type ProcessEvent,
  type Signal,
} from '../../gen/ts/wrenn/v1/process.js';
import { Answers, piecesOf, Requests } from './streams.js';

/** Bytes of input that one message carries. */
const INPUT_BYTES_MAX = 64 * 1024;

type Message = NonNullable<ExecStreamRequest['message']>;

/**
 * What the program does is read by iteration: `started`, output in order, then
 * `exited`. A stream that ends early, by `close()` or by a broken connection,
 * leaves the program alone; `processes.connect` goes on with it.
 *
 * What is sent before a connection breaks may or may not have arrived.
 */
export class ProcessStream implements AsyncIterable<ProcessEvent>, Disposable {
  readonly #call: ClientDuplexStream<ExecStreamRequest, ProcessEvent>;
  readonly #answers: Answers<ProcessEvent>;
  readonly #requests: Requests<ExecStreamRequest>;
  #sending: Promise<void> = Promise.resolve();

  /** @param first says which program, in which sandbox. */
  constructor(
    call: ClientDuplexStream<ExecStreamRequest, ProcessEvent>,
    first: ExecStreamRequest,
    signal?: AbortSignal,
  ) {
    this.#call = call;
    this.#answers = new Answers(call, signal);
    this.#requests = new Requests(call);
    this.#sending = this.#requests.write(first);
  }

  /** The program's events, once. @throws WrennApiError */
  [Symbol.asyncIterator](): AsyncIterator<ProcessEvent> {
    return this.#answers[Symbol.asyncIterator]();
  }

  /** Adds to standard input, or types on the terminal; resolves when more may be sent. */
  async write(input: string | Uint8Array): Promise<void> {
    const bytes = typeof input === 'string' ? Buffer.from(input) : input;
    await Promise.all(
      [...piecesOf(bytes, INPUT_BYTES_MAX)].map((value) => this.#send({ $case: 'stdin', value })),
    );
  }

  /** Lets the program read end of file after all input before. */
  closeStdin(): Promise<void> {
    return this.#send({ $case: 'closeStdin', value: {} });
  }

  /** Changes the size of its terminal, in characters. */
  resize(cols: number, rows: number): Promise<void> {
    return this.#send({ $case: 'resize', value: { cols, rows } });
  }

  /** Sends a signal to its process group. */
  signal(value: Signal): Promise<void> {
    return this.#send({ $case: 'signal', value });
  }

  /** Ends the stream; the program lives on. */
  close(): void {
    this.#call.cancel();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** One message after the other. What is sent to a stream that is over goes nowhere. */
  #send(message: Message): Promise<void> {
    const request = ExecStreamRequest.create({ message });
    this.#sending = this.#sending.then(() => this.#requests.write(request));
    return this.#sending;
  }
}
