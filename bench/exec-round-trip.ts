/**
 * `npm run bench`: the public Exec round trip against the same call made
 * directly to the agent, and the time to create a sandbox by booting against
 * the same boot by hand. One run on one platform, all arms in turns.
 */
import { describeFailure } from '../cli/failure.js';
import { printLine } from '../cli/io.js';
import { shutdownSignal } from '../lib/lifecycle/shutdown.js';
import { DIRECT, execArms, PROXIED, pingArms, type Ways } from './call-arms.js';
import {
  BARE_BOOT,
  bareBoot,
  bareMachineFor,
  DIRECT_CREATE,
  directCreate,
  MACHINE,
  publicCreate,
} from './create-arms.js';
import { HttpClient } from './http-client.js';
import { machineFacts, watchNoise } from './machine.js';
import { type BenchOptions, parseOptions } from './options.js';
import { BenchPlatform } from './platform.js';
import { Progress } from './progress.js';
import { startProxy } from './proxy.js';
import { type BenchReport, type GroupPlan, type GroupReport, measureGroup } from './report.js';
import { formatReport } from './table.js';

const SCRIPT = 'bench/exec-round-trip.ts';
const INTERRUPTED_EXIT_CODE = 130;

const { stdout, stderr } = process;
process.exitCode = await main(parseOptions(process.argv.slice(2)));

async function main(options: BenchOptions): Promise<number> {
  const signal = shutdownSignal();
  const progress = new Progress(stderr);
  try {
    const report = await bench(options, progress, signal);
    progress.clear();
    printReport(report, options.json);
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

/** A platform is up within this function only. */
async function bench(
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<BenchReport> {
  progress.show('starting a platform');
  await using platform = await BenchPlatform.start(options.driver);
  try {
    signal.throwIfAborted();
    const machine = await machineFacts(await platform.host());
    const noiseSoFar = await watchNoise();
    const groups = [
      ...(await measureCalls(platform, options, progress, signal)),
      ...(await measureBoots(platform, options, progress, signal)),
    ];
    const noise = await noiseSoFar();
    progress.show('stopping the platform');
    return { script: SCRIPT, machine, noise, groups };
  } catch (error) {
    if (!signal.aborted) {
      progress.clear();
      printLine(stderr, `The logs are in ${platform.keepLogs()}.`);
    }
    throw error;
  }
}

async function measureCalls(
  platform: BenchPlatform,
  options: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<GroupReport[]> {
  const { agent, client, config, httpAddress, apiKey } = platform;
  await using proxy = await startProxy(config.agentSocketPath);
  using http = new HttpClient(httpAddress, apiKey);
  const ways = { agent, proxiedAgent: proxy.agent, client, http };
  progress.show('creating a sandbox');
  const { sandboxId } = await client.sandboxes.create(MACHINE, { signal });
  const reports: GroupReport[] = [];
  for (const plan of callPlans(ways, sandboxId, options)) {
    reports.push(await measure(plan, progress, signal));
  }
  // The boots have the machine to themselves.
  await client.sandboxes.delete(sandboxId, { signal });
  return reports;
}

function callPlans(ways: Ways, sandboxId: string, { count, warmUp }: BenchOptions): GroupPlan[] {
  const plan = { baselines: [DIRECT, PROXIED], rounds: count, warmUpRounds: warmUp };
  return [
    { title: 'Exec of true', arms: execArms(ways, sandboxId), ...plan },
    { title: 'PingSandbox', arms: pingArms(ways, sandboxId), ...plan },
  ];
}

async function measureBoots(
  platform: BenchPlatform,
  { boots, driver }: BenchOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<GroupReport[]> {
  if (boots === 0) return [];
  const arms = [directCreate(platform), publicCreate(platform)];
  const title = 'Create a sandbox by booting';
  // The first sandbox has read the images already, so there is nothing more to warm up.
  const plan = { title, rounds: boots, warmUpRounds: 0 };
  if (driver === 'fake') {
    return [await measure({ ...plan, arms, baselines: [DIRECT_CREATE] }, progress, signal)];
  }
  const bare = bareBoot(await bareMachineFor(platform, (await platform.host()).accelerator));
  const withBare = { ...plan, arms: [bare, ...arms], baselines: [BARE_BOOT] };
  return [await measure(withBare, progress, signal)];
}

function measure(plan: GroupPlan, progress: Progress, signal: AbortSignal): Promise<GroupReport> {
  const total = plan.rounds + plan.warmUpRounds;
  progress.show(plan.title, 0, total);
  return measureGroup(plan, signal, (done) => progress.show(plan.title, done, total));
}

function printReport(report: BenchReport, json: boolean): void {
  const lines = json ? [JSON.stringify(report, undefined, 2)] : formatReport(report);
  for (const line of lines) printLine(stdout, line);
}
