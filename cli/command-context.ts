import type { CliIo } from './io.js';
import type { Session } from './session.js';

/** What the commands hang on. */
export interface CommandContext {
  io: CliIo;
  /** The session under the global options, to be opened when a command runs. */
  session(): Session;
  /** For a command whose exit code is not that of its success. */
  setExitCode(exitCode: number): void;
}
