/** The command tree. Each file in commands/ adds one branch. */
import { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import { addAuthCommands } from './commands/auth.js';
import { addCopyCommand } from './commands/copy.js';
import { addExecCommand } from './commands/exec.js';
import { addFileCommands } from './commands/file.js';
import { addKeyCommands } from './commands/key.js';
import { addPlatformCommands } from './commands/platform.js';
import { addProcessCommands } from './commands/process.js';
import { addSandboxCommands } from './commands/sandbox.js';
import { addSnapshotCommands } from './commands/snapshot.js';
import type { CliIo } from './io.js';
import { type GlobalOptions, openSession } from './session.js';

const ENVIRONMENT_HELP = `
Environment:
  WRENN_API_KEY     API key, instead of the stored one
  WRENN_ADDRESS     gRPC address of the control plane
  WRENN_CONFIG_DIR  folder of the stored credentials
The settings of the platform are in .env.example.`;

export function createProgram(io: CliIo, outcome: { exitCode: number }): Command {
  const program = new Command('wrenn')
    .description('Self-hosted microVM sandboxes')
    .option('--json', 'print JSON, the same as the HTTP API')
    .option('--address <host:port>', 'gRPC address of the control plane')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(wrenn help [command] shows what there is)')
    .addHelpText('after', ENVIRONMENT_HELP);
  const context: CommandContext = {
    io,
    session: () => openSession(io, program.opts<GlobalOptions>()),
    setExitCode: (exitCode) => {
      outcome.exitCode = exitCode;
    },
  };
  addPlatformCommands(program, context);
  addAuthCommands(program, context);
  addKeyCommands(program, context);
  addSandboxCommands(program, context);
  addSnapshotCommands(program, context);
  addFileCommands(program, context);
  addShortCommands(program, context);
  return program;
}

/** What is typed most often needs no `sandbox` before it. */
function addShortCommands(program: Command, context: CommandContext): void {
  addExecCommand(program, context);
  addProcessCommands(program, context);
  addCopyCommand(program, context);
}
