/** The commands that run the platform on this machine. What they need is loaded when they run. */
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.js';

export function addPlatformCommands(program: Command, context: CommandContext): void {
  program
    .command('up')
    .description('run the platform in the foreground; Ctrl-C leaves sandboxes running')
    .option('--verbose', 'print every line that the daemons log')
    .action(async (options: { verbose?: boolean }) => {
      const { up } = await import('../up/up.js');
      await up(context, { verbose: options.verbose ?? false });
    });
  program
    .command('down')
    .description('pause all sandboxes and stop the platform')
    .option('-y, --yes', 'delete what cannot be paused, without asking')
    .action(async (options: { yes?: boolean }) => {
      const { down } = await import('../up/down.js');
      await down(context, options.yes ?? false);
    });
  program
    .command('reset')
    .description('delete all sandboxes, snapshots, users, keys and the database')
    .option('-y, --yes', 'do not ask')
    .action(async (options: { yes?: boolean }) => {
      const { reset } = await import('../up/reset.js');
      await reset(context, options.yes ?? false);
    });
  program
    .command('doctor')
    .description('say what this machine has, what was chosen and why, and what is missing')
    .action(async () => {
      const { doctor } = await import('../doctor/doctor.js');
      await doctor(context);
    });
}
