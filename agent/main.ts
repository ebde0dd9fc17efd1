/**
 * The host agent. SIGTERM and SIGINT end it and leave running sandboxes to the
 * next run, which takes them over; a second signal ends it at once.
 */

import { WrennError } from '../lib/errors/index.js';
import { aborted, shutdownSignal } from '../lib/lifecycle/shutdown.js';
import { createLog } from '../lib/log/winston-log.js';
import { startAgent } from './agent.js';
import { readConfig } from './config.js';

// Sockets and files are for root alone to write, whatever the caller's shell has set.
process.umask(0o022);

try {
  const config = readConfig();
  const log = createLog(config.logLevel, { component: 'agent' });
  const agent = await startAgent(config, log);
  await aborted(shutdownSignal());
  log.info('stopping; running sandboxes go on');
  await agent.close();
  // Machines of the fake driver live in this process and would keep it going.
  process.exit();
} catch (error) {
  // Standard error is where a supervisor, or a person, looks first.
  console.error(error instanceof WrennError ? `wrenn agent: ${error.message}` : error);
  // Half of an agent must not stay behind and hold what the next one needs.
  process.exit(1);
}
