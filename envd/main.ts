/**
 * envd, the daemon in every sandbox: runs programs and moves files for the host
 * agent, over gRPC. It is bundled to one file and runs on the Node of the tools
 * image; wrenn-init.sh starts it again when it ends.
 */
import type { Log } from '../lib/log/log.js';
import { boundStreamBuffers } from '../lib/rpc/streams.js';
import { readConfig } from './config.js';
import { createConsoleLog } from './log.js';
import { startServer } from './server.js';

/** Errors of a connection whose peer went away: nothing of the daemon's own is broken. */
const HARMLESS = new Set(['ECONNRESET', 'EPIPE']);

const log = createConsoleLog({ component: 'envd' });
process.on('uncaughtException', (error) => endUnlessHarmless(error, log));
process.on('unhandledRejection', (error) => endUnlessHarmless(error, log));
void main();

async function main(): Promise<void> {
  boundStreamBuffers();
  const config = readConfig(process.argv.slice(2));
  const port = await startServer(config, log);
  process.stdout.write(`envd: listening on ${config.host}:${port}\n`);
}

/** After an error that nobody expected the state is unknown: a fresh daemon is the safe way on. */
function endUnlessHarmless(error: unknown, log: Log): void {
  const harmless = HARMLESS.has((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  log.error('uncaught error', { error, exits: !harmless });
  if (!harmless) process.exit(1);
}
