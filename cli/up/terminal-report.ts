import type { Writable } from 'node:stream';
import { printLine } from '../io.js';
import type { PlatformReport } from './parts.js';

/** Prints what the platform reports: of the daemons' lines the errors, or every one when verbose. */
export function createTerminalReport(stderr: Writable, verbose: boolean): PlatformReport {
  return {
    starting: (name) => printLine(stderr, `starting ${name}`),
    trouble: (message) => printLine(stderr, `wrenn: ${message}`),
    line: (daemon, line) => {
      if (verbose) printLine(stderr, `${daemon} | ${line}`);
      else if (isUrgent(line)) printLine(stderr, `${daemon} | ${summarize(line)}`);
    },
  };
}

/** What is no JSON comes from a daemon that dies, and is shown. */
function isUrgent(line: string): boolean {
  const parsed = parse(line);
  return parsed === undefined || parsed.level === 'error';
}

/** `error: call failed (SANDBOX_NOT_FOUND)`; the log file has the rest. */
function summarize(line: string): string {
  const parsed = parse(line);
  if (!parsed) return line;
  const { error } = parsed as { error?: { message?: string } };
  return `${parsed.level}: ${parsed.message}${error?.message ? `: ${error.message}` : ''}`;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === 'object' && parsed !== null
      ? (parsed as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
