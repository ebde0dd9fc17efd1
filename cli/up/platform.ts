/**
 * The platform on this machine: Postgres, host agent, control plane, started in
 * this order and stopped in the other. Sandboxes are not part of it: they go on.
 */
import type { PlatformConfig } from '../config.js';
import { type DaemonSpec, Parts, type Platform, type PlatformReport } from './parts.js';
import { agentReady, controlPlaneReady } from './readiness.js';

/**
 * Starts everything.
 * @throws CliError or WrennError that says what is missing; then nothing runs.
 */
export async function startPlatform(
  config: PlatformConfig,
  report: PlatformReport,
  signal: AbortSignal,
): Promise<Platform> {
  await using parts = new Parts(config, report, signal);
  const databaseUrl = config.databaseUrl ?? (await parts.startDatabase());
  await parts.startDaemon(agentSpec(config));
  await parts.startDaemon({
    name: 'control plane',
    folder: 'src',
    probe: (stop) => controlPlaneReady(config, stop),
    environment: {
      DATABASE_URL: databaseUrl,
      WRENN_TEST_PAGE: config.environment.WRENN_TEST_PAGE || 'true',
    },
  });
  return parts.commit();
}

/** Starts the host agent without database and control plane. */
export async function startAgentAlone(
  config: PlatformConfig,
  report: PlatformReport,
  signal: AbortSignal,
): Promise<Platform> {
  await using parts = new Parts(config, report, signal);
  await parts.startDaemon(agentSpec(config));
  return parts.commit();
}

function agentSpec({ agentSocketPath }: PlatformConfig): DaemonSpec {
  return {
    name: 'agent',
    folder: 'agent',
    probe: (stop) => agentReady(agentSocketPath, stop),
  };
}
