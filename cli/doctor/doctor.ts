/** `wrenn doctor`: what the machine has, what is chosen and why, and what is missing. */
import { join } from 'node:path';
import type { DoctorCheck, DoctorReport } from '../../lib/doctor/report.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { RunError, run } from '../../lib/process/run.js';
import type { CommandContext } from '../command-context.js';
import { readPlatformConfig } from '../config.js';
import { CliError } from '../failure.js';
import { printLine } from '../io.js';
import { formatTable } from '../output/table.js';
import { checkPlatform } from './platform-checks.js';

/** A probe VM for KVM may take its time on a nested host. */
const AGENT_TIMEOUT_MS = 120_000;
const MARKS: Readonly<Record<DoctorCheck['status'], string>> = { ok: '✔', note: '·', missing: '✖' };

/** The exit code is 1 when something is missing. */
export async function doctor({ io, session, setExitCode }: CommandContext): Promise<void> {
  const report = await inspect(io.environment);
  if (report.checks.some(({ status }) => status === 'missing')) setExitCode(1);
  if (session().json) {
    printLine(io.stdout, JSON.stringify(report));
    return;
  }
  for (const line of formatReport(report)) printLine(io.stdout, line);
}

/** A table of what was found, the driver, and what to do. */
export function formatReport({ driver, checks }: DoctorReport): string[] {
  const rows = checks.map(({ name, status, found }) => [MARKS[status], name, found]);
  const advice = checks.flatMap(({ name, advice: text }) => (text ? [`  ${name}: ${text}`] : []));
  const isReady = checks.every(({ status }) => status !== 'missing');
  return [
    ...formatTable(['', 'WHAT', 'FOUND'], rows),
    '',
    `driver: ${driver.name} with ${driver.accelerator}, because ${driver.reason}`,
    ...(advice.length > 0 ? ['', 'to do:', ...advice] : []),
    '',
    isReady ? 'This machine runs sandboxes.' : 'This machine does not run sandboxes yet.',
  ];
}

async function inspect(environment: NodeJS.ProcessEnv): Promise<DoctorReport> {
  const [host, platform] = await Promise.all([
    inspectHost(environment),
    checkPlatform(readPlatformConfig(environment)),
  ]);
  return { ...host, checks: [...host.checks, ...platform] };
}

async function inspectHost(environment: NodeJS.ProcessEnv): Promise<DoctorReport> {
  const program = join(packageRoot(), 'dist', 'agent', 'doctor.js');
  try {
    const { stdout } = await run(process.execPath, [program, '--json'], {
      env: environment,
      timeoutMs: AGENT_TIMEOUT_MS,
    });
    return JSON.parse(stdout) as DoctorReport;
  } catch (error) {
    // Its standard error says what is wrong with the settings, for example.
    if (!(error instanceof RunError)) throw error;
    throw new CliError(`the host could not be inspected: ${error.stderr.trim() || error.message}`);
  }
}
