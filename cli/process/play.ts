/** A program of a sandbox, as if it ran here: its outputs, its input, signals, exit code. */
import {
  ExitReason,
  type ProcessExited,
  Signal,
  WrennApiError,
} from '../../clients/typescript/index.js';
import { type CliIo, printLine } from '../io.js';
import type { Conversation } from './conversation.js';
import { forwardInterrupts } from './interrupts.js';
import { Output } from './output.js';
import { passInput } from './pass-input.js';
import { takeTerminal, terminalSize } from './terminal.js';

/** As timeout(1) has it. */
const TIMEOUT_EXIT_CODE = 124;
/** Of who leaves a program that runs: as a shell has it for Ctrl-C. */
const LEFT_EXIT_CODE = 130;
/** After these the program is there no more. */
const FINAL_REASONS = ['PROCESS_NOT_FOUND', 'SANDBOX_NOT_FOUND'];

export interface PlayOptions {
  /** Whether this command's standard input is the program's. */
  hasInput: boolean;
  /** Whether the program has this command's terminal. */
  hasTerminal: boolean;
}

/** @returns the exit code. @throws what the conversation throws. */
export async function play(
  io: CliIo,
  conversation: Conversation,
  { hasInput, hasTerminal }: PlayOptions,
): Promise<number> {
  const leave = () => conversation.detach();
  const forward = (signal: Signal) => void conversation.send((stream) => stream.signal(signal));
  const resize = () => {
    const { cols, rows } = terminalSize(io);
    void conversation.send((stream) => stream.resize(cols, rows));
  };
  if (hasTerminal) conversation.onReconnected = resize;
  let exited: ProcessExited | undefined;
  let inputFailure: unknown;
  const failInput = (error: unknown) => {
    inputFailure = error;
    leave();
  };
  try {
    using _terminal = hasTerminal ? await takeTerminal(io, resize) : undefined;
    using _interrupts = forwardInterrupts(io.signals, { forward, leave });
    if (hasInput) {
      passInput(io, conversation, { isTyped: hasTerminal, onLeave: leave }).catch(failInput);
    }
    exited = await showOutput(io, conversation, () => forward(Signal.SIGNAL_HUP));
    // Half an input must not be taken for a whole one.
    if (inputFailure) throw inputFailure;
  } catch (error) {
    sayHowToGoOn(io, conversation, error);
    throw error;
  } finally {
    leave();
    // Else what is not read keeps this process alive.
    if (hasInput) io.stdin.destroy();
  }
  if (!exited) {
    const { attachCommand } = conversation;
    const goesOn = attachCommand ? `; the program goes on: ${attachCommand}` : '';
    printLine(io.stderr, `wrenn: left${goesOn}`);
    return LEFT_EXIT_CODE;
  }
  if (exited.reason !== ExitReason.EXIT_REASON_TIMEOUT) return exited.exitCode;
  printLine(io.stderr, 'wrenn: the program ran longer than --timeout and was killed');
  return TIMEOUT_EXIT_CODE;
}

/** @returns how the program ended; undefined when the user has left it. */
async function showOutput(
  { stdout, stderr }: CliIo,
  conversation: Conversation,
  onClosed: () => void,
): Promise<ProcessExited | undefined> {
  using out = new Output(stdout, conversation.left, onClosed);
  using err = new Output(stderr, conversation.left, () => undefined);
  for await (const event of conversation.events()) {
    if (event.$case === 'exited') return event.value;
    if (event.$case === 'stdout' || event.$case === 'pty') await out.write(event.value.data);
    if (event.$case === 'stderr') await err.write(event.value.data);
  }
  return undefined;
}

function sayHowToGoOn({ stderr }: CliIo, { attachCommand }: Conversation, error: unknown): void {
  if (!(error instanceof WrennApiError) || attachCommand === undefined) return;
  if (FINAL_REASONS.includes(error.reason)) return;
  printLine(stderr, `wrenn: the program may go on: ${attachCommand}`);
}
