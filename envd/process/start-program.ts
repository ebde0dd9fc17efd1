/** How this daemon starts a launched program: on pipes, or on a terminal. */
import type { LaunchRequest } from '../../gen/ts/wrenn/envd/v1/process.js';
import type { Program } from '../../lib/guest/program.js';
import { toCommand } from './command.js';
import { startPipedProgram } from './piped-program.js';
import type { Programs } from './run-program.js';
import { startTerminalProgram, TERMINAL_ENVIRONMENT } from './terminal-program.js';

/** @throws WrennError COMMAND_NOT_FOUND or COMMAND_NOT_STARTED. */
export async function startProgram(programs: Programs, request: LaunchRequest): Promise<Program> {
  const ofSandbox = programs.sandboxEnvironment();
  if (!request.pty) {
    const command = await toCommand(request, ofSandbox);
    return startPipedProgram(programs, command, request.closeStdin);
  }
  const command = await toCommand(request, { ...TERMINAL_ENVIRONMENT, ...ofSandbox });
  const program = await startTerminalProgram(programs.helperPath, command, request.pty);
  if (request.closeStdin) program.closeInput();
  return program;
}
