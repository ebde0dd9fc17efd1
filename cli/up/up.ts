/** `wrenn up`: runs the platform until Ctrl-C or SIGTERM. */
import { aborted, shutdownSignal } from '../../lib/lifecycle/shutdown.js';
import { reachableAddress } from '../address.js';
import type { CommandContext } from '../command-context.js';
import { type PlatformConfig, readClientConfig, readPlatformConfig } from '../config.js';
import { CredentialStore } from '../credentials.js';
import { CliError } from '../failure.js';
import { printLine } from '../io.js';
import { claimPlatform, supervisorPid } from './exclusive.js';
import { ensureLocalUser } from './local-user.js';
import { requireAddresses, requireHost } from './machine.js';
import { nextSteps } from './next-steps.js';
import type { Platform, PlatformReport } from './parts.js';
import { startPlatform } from './platform.js';
import { createTerminalReport } from './terminal-report.js';

/** Exit code of a program that was interrupted. */
const INTERRUPTED_EXIT_CODE = 130;

export async function up(context: CommandContext, options: { verbose: boolean }): Promise<void> {
  const { io, session } = context;
  const config = readPlatformConfig(io.environment);
  const signal = shutdownSignal();
  requireHost(config);

  await using claim = await claimPlatform(config);
  if (!claim) throw await alreadyUp(config);
  await requireAddresses(config);
  const report = createTerminalReport(io.stderr, options.verbose);
  const platform = await startUnlessInterrupted(config, report, signal);
  if (!platform) {
    printLine(io.stderr, 'stopped before it was up');
    context.setExitCode(INTERRUPTED_EXIT_CODE);
    return;
  }
  try {
    const address = reachableAddress(config.grpcAddress);
    const store = new CredentialStore(readClientConfig(io.environment).configDirectory);
    const apiKey = await Promise.race([
      ensureLocalUser(config.stateDirectory, address, store),
      platform.failed,
    ]);
    printReady(io, session().json, config, apiKey);

    await Promise.race([aborted(signal), platform.failed]);
    printLine(
      io.stderr,
      'stopping; running sandboxes go on, and the next wrenn up takes them over',
    );
  } finally {
    await platform.stop();
  }
}

async function startUnlessInterrupted(
  config: PlatformConfig,
  report: PlatformReport,
  signal: AbortSignal,
): Promise<Platform | undefined> {
  try {
    return await startPlatform(config, report, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function printReady(
  io: CommandContext['io'],
  json: boolean,
  config: PlatformConfig,
  apiKey: string,
): void {
  if (!json) {
    for (const line of nextSteps(config, apiKey)) printLine(io.stdout, line);
    return;
  }
  const ready = {
    http_address: reachableAddress(config.httpAddress),
    grpc_address: reachableAddress(config.grpcAddress),
    api_key: apiKey,
  };
  printLine(io.stdout, JSON.stringify(ready));
}

async function alreadyUp(config: PlatformConfig): Promise<CliError> {
  const pid = await supervisorPid(config);
  return new CliError(
    `wrenn up runs already for ${config.stateDirectory}${pid ? ` (process ${pid})` : ''}`,
    'wrenn down stops it; WRENN_STATE_DIR and WRENN_RUN_DIR make room for a second one',
  );
}
