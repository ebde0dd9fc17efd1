/**
 * The control plane. SIGTERM and SIGINT let calls under way end, then it stops;
 * sandboxes run on. A second signal ends it at once.
 */
import { setLogger } from '@grpc/grpc-js';
import dotenv from 'dotenv';
import { WrennError } from '../lib/errors/index.js';
import { aborted, shutdownSignal } from '../lib/lifecycle/shutdown.js';
import { createLog } from '../lib/log/winston-log.js';
import { readConfig } from './config.js';
import { startControlPlane } from './server.js';

dotenv.config({ quiet: true });
try {
  const config = readConfig();
  const log = createLog(config.logLevel, { component: 'control-plane' });
  // gRPC's own words are one line of the log like all others.
  const say = (line: unknown) => log.warn('grpc says', { line: String(line) });
  setLogger({ error: say, info: say, debug: say });
  const shutdown = shutdownSignal();
  const controlPlane = await startControlPlane(config, log);
  await aborted(shutdown);
  log.info('stopping; sandboxes go on');
  await controlPlane.close();
} catch (error) {
  createLog('error', { component: 'control-plane' }).error('control plane ended', { error });
  // Standard error is where a supervisor, or a person, looks first.
  if (error instanceof WrennError) console.error(`wrenn control plane: ${error.message}`);
  process.exitCode = 1;
}
