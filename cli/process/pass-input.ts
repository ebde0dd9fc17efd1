/** Hands this command's standard input on to a program. */
import type { CliIo } from '../io.js';
import type { Conversation } from './conversation.js';
import { EscapeKeys } from './escape.js';

export interface InputOptions {
  /** Whether it is typed on a terminal that the program has as its own. */
  isTyped: boolean;
  /** The user has typed the keys that leave the program alone. */
  onLeave(): void;
}

/** Until the input ends, or is destroyed. What is typed has no end. */
export async function passInput(
  { stdin }: CliIo,
  conversation: Conversation,
  { isTyped, onLeave }: InputOptions,
): Promise<void> {
  const keys = new EscapeKeys();
  // A user sees what was lost; a program that reads a pipe must not miss a byte.
  const isData = stdin.isTTY !== true;
  for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
    const { input, isLeaving } = isTyped ? keys.take(chunk) : { input: chunk, isLeaving: false };
    if (input.length > 0) await conversation.send((stream) => stream.write(input), isData);
    if (isLeaving) {
      onLeave();
      return;
    }
  }
  await conversation.closeStdin();
}
