/** A program of the scripted API server, whose conversations a test scripts one by one. */
import { type ExecStreamRequest, ExitReason, ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';

/** What the program does in one conversation; `requests` are those after the first. */
export type Conversation = (
  requests: AsyncIterable<ExecStreamRequest>,
) => AsyncIterable<ProcessEvent>;

export class OneProgram {
  /** How each conversation began. */
  readonly firsts: ExecStreamRequest['message'][] = [];
  readonly #script: Conversation[];

  constructor(...script: Conversation[]) {
    this.#script = script;
  }

  readonly execStream = async function* (
    this: OneProgram,
    _: unknown,
    requests: AsyncIterable<ExecStreamRequest>,
  ): AsyncGenerator<ProcessEvent, void, void> {
    const iterator = requests[Symbol.asyncIterator]();
    const { value } = await iterator.next();
    this.firsts.push(value?.message);
    const next = this.#script.shift();
    if (!next)
      throw new WrennError(Code.INTERNAL, 'INTERNAL', 'no further conversation is scripted');
    yield* next({ [Symbol.asyncIterator]: () => iterator });
  }.bind(this);
}

/** All input of a conversation, up to its end. */
export async function inputOf(requests: AsyncIterable<ExecStreamRequest>): Promise<string> {
  let input = '';
  for await (const { message } of requests) {
    if (message?.$case === 'stdin') input += message.value.toString();
    if (message?.$case === 'closeStdin') break;
  }
  return input;
}

export function started(): ProcessEvent {
  return ProcessEvent.fromPartial({ event: { $case: 'started', value: { processId: 'p1' } } });
}

export function output(
  $case: 'stdout' | 'stderr' | 'pty',
  offset: number,
  text: string,
): ProcessEvent {
  return { event: { $case, value: { offset, data: Buffer.from(text) } } };
}

export function exited(exitCode: number, reason = ExitReason.EXIT_REASON_EXITED): ProcessEvent {
  return ProcessEvent.fromPartial({ event: { $case: 'exited', value: { exitCode, reason } } });
}
