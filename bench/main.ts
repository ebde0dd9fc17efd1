/** `npm run bench [-- names]`: runs benchmarks, one after the other, and prints what they found. */
import { describeFailure } from '../cli/failure.js';
import { printLine } from '../cli/io.js';
import { shutdownSignal } from '../lib/lifecycle/shutdown.js';
import { benchCalls } from './calls.js';
import { benchCreate } from './create.js';
import { benchCreateFake } from './create-fake.js';
import { benchDensity } from './density.js';
import { benchDiff } from './diff.js';
import { benchExecRoundTrip } from './exec-round-trip.js';
import { benchGateway } from './gateway.js';
import { benchList } from './list.js';
import type { BenchContext } from './measure.js';
import { benchMerge } from './merge.js';
import { type BenchCommand, type BenchName, parseOptions } from './options.js';
import { benchPageServer } from './page-server.js';
import { benchPauseDiff } from './pause-diff.js';
import { Progress } from './progress.js';
import { benchReady } from './ready.js';
import type { BenchReport } from './report.js';
import { benchResumeDepth } from './resume-depth.js';
import { benchStopWindow } from './stop-window.js';
import { benchStreamStart } from './stream-start.js';
import { benchStreamThroughput } from './stream-throughput.js';
import { benchStreams } from './streams.js';
import { formatSummary } from './summary.js';
import { formatReport } from './table.js';
import { benchWorkingSet } from './working-set.js';

const INTERRUPTED_EXIT_CODE = 130;

const BENCHMARKS: Record<BenchName, (context: BenchContext) => Promise<BenchReport>> = {
  'exec-round-trip': benchExecRoundTrip,
  calls: benchCalls,
  gateway: benchGateway,
  'stream-start': benchStreamStart,
  'stream-throughput': benchStreamThroughput,
  list: benchList,
  'create-fake': benchCreateFake,
  streams: benchStreams,
  'page-server': benchPageServer,
  merge: benchMerge,
  diff: benchDiff,
  create: benchCreate,
  ready: benchReady,
  'resume-depth': benchResumeDepth,
  'working-set': benchWorkingSet,
  'stop-window': benchStopWindow,
  density: benchDensity,
  'pause-diff': benchPauseDiff,
};

const { stdout, stderr } = process;
process.exitCode = await main(parseOptions(process.argv.slice(2)));

async function main({ names, options }: BenchCommand): Promise<number> {
  const signal = shutdownSignal();
  const progress = new Progress(stderr);
  const reports: BenchReport[] = [];
  try {
    for (const name of names) {
      const report = await BENCHMARKS[name]({ options, progress, signal });
      progress.clear();
      reports.push(report);
      if (!options.json) printLines([...formatReport(report), '']);
    }
    if (!options.json && reports.length > 1) printLines(formatSummary(reports));
    if (options.json) printLine(stdout, JSON.stringify(reports, undefined, 2));
    return 0;
  } catch (error) {
    progress.clear();
    if (signal.aborted) {
      printLine(stderr, 'interrupted; everything is stopped and removed');
      return INTERRUPTED_EXIT_CODE;
    }
    printLine(stderr, `bench: ${describeFailure(error, () => 'the platform').message}`);
    return 1;
  }
}

function printLines(lines: readonly string[]): void {
  for (const line of lines) printLine(stdout, line);
}
