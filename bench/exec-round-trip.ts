/**
 * `npm run bench -- exec-round-trip`: the public Exec round trip against the
 * same call made directly to the agent, and the time to create a sandbox by
 * booting against the same boot by hand. One run on one platform, all arms in
 * turns.
 */
import { printLine } from '../cli/io.js';
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
import { type BenchContext, measure } from './measure.js';
import { BenchPlatform } from './platform.js';
import { startProxy } from './proxy.js';
import type { BenchReport, GroupPlan, GroupReport } from './report.js';

const SCRIPT = 'bench/exec-round-trip.ts';
const ROUNDS_DEFAULT = 100;
const WARM_UP_ROUNDS_DEFAULT = 30;

/** A platform is up within this function only. */
export async function benchExecRoundTrip(context: BenchContext): Promise<BenchReport> {
  const { options, progress, signal } = context;
  progress.show('starting a platform');
  await using platform = await BenchPlatform.start(options.driver);
  try {
    signal.throwIfAborted();
    const machine = await machineFacts(await platform.host());
    const noiseSoFar = await watchNoise();
    const groups = [
      ...(await measureCalls(platform, context)),
      ...(await measureBoots(platform, context)),
    ];
    const noise = await noiseSoFar();
    progress.show('stopping the platform');
    return { script: SCRIPT, machine, noise, groups };
  } catch (error) {
    if (!signal.aborted) {
      progress.clear();
      printLine(process.stderr, `The logs are in ${platform.keepLogs()}.`);
    }
    throw error;
  }
}

async function measureCalls(
  platform: BenchPlatform,
  context: BenchContext,
): Promise<GroupReport[]> {
  const { progress, signal } = context;
  const { agent, client, config, httpAddress, apiKey } = platform;
  await using proxy = await startProxy(config.agentSocketPath);
  using http = new HttpClient(httpAddress, apiKey);
  const ways = { agent, proxiedAgent: proxy.agent, client, http };
  progress.show('creating a sandbox');
  const { sandboxId } = await client.sandboxes.create(MACHINE, { signal });
  const reports: GroupReport[] = [];
  for (const plan of callPlans(ways, sandboxId, context)) {
    reports.push(await measure(plan, context));
  }
  // The boots have the machine to themselves.
  await client.sandboxes.delete(sandboxId, { signal });
  return reports;
}

function callPlans(ways: Ways, sandboxId: string, { options }: BenchContext): GroupPlan[] {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const plan = { baselines: [DIRECT, PROXIED], rounds: count, warmUpRounds: warmUp };
  return [
    { title: 'Exec of true', arms: execArms(ways, sandboxId), ...plan },
    { title: 'PingSandbox', arms: pingArms(ways, sandboxId), ...plan },
  ];
}

async function measureBoots(
  platform: BenchPlatform,
  context: BenchContext,
): Promise<GroupReport[]> {
  const { boots, driver } = context.options;
  if (boots === 0) return [];
  const arms = [directCreate(platform), publicCreate(platform)];
  const title = 'Create a sandbox by booting';
  // The first sandbox has read the images already, so there is nothing more to warm up.
  const plan = { title, rounds: boots, warmUpRounds: 0 };
  if (driver === 'fake') {
    return [await measure({ ...plan, arms, baselines: [DIRECT_CREATE] }, context)];
  }
  const bare = bareBoot(await bareMachineFor(platform, (await platform.host()).accelerator));
  const withBare = { ...plan, arms: [bare, ...arms], baselines: [BARE_BOOT] };
  return [await measure(withBare, context)];
}
