/**
 * The steps that make a guest a sandbox: all that PostInit does after a boot, and PostRestore after
 * a restore from a snapshot. One list for both, so that what one of them sets the other does too.
 *
 * Whatever must be secret or unlike that of every copy comes from the host: token, machine id,
 * entropy. Node's own generator is part of a snapshot, so copies draw the same from it; the daemon
 * draws nothing but the ids of requests in its own log.
 *
 * The steps that write files do so without a turn of the event loop: in a guest that is emulated,
 * or whose memory is still being fetched, each turn takes a millisecond and more.
 */
import { writeFileSync } from 'node:fs';
import type { PostInitRequest, PostInitResponse_Step } from '../../gen/ts/wrenn/envd/v1/guest.js';
import type { TokenStore } from '../auth.js';
import type { EnvdConfig } from '../config.js';
import type { Coprocess } from '../process/coprocess.js';
import type { Identity } from './identity.js';
import { type HostTime, setClock, setClockAndEntropy } from './kernel-helper.js';
import { setMachineId } from './machine-id.js';

/** Milliseconds by which a clock may be off after a boot before it is set. */
const CLOCK_DRIFT_MS_MAX = 100;
const NS_PER_MS = 1_000_000n;

export interface Guest {
  config: EnvdConfig;
  /** wrenn-guest. */
  helper: Coprocess;
  tokens: TokenStore;
  identity: Identity;
}

export interface Change {
  identity: PostInitRequest;
  /** `process.hrtime.bigint()` of the call's arrival. */
  receivedAtNs: bigint;
  /** Random bytes for the kernel; undefined after a boot, when it has collected its own. */
  entropy: Buffer | undefined;
  /** Undefined keeps the one that the guest has. */
  machineId: string | undefined;
  /** Whether the guest gets the sandbox's id as its hostname. */
  setsHostname: boolean;
  setsEnvironment: boolean;
}

type Step = [name: string, run: () => void | Promise<void>];

/** Does every step, also after one has failed: the report tells all that is wrong. */
export async function becomeSandbox(
  guest: Guest,
  change: Change,
): Promise<PostInitResponse_Step[]> {
  const report: PostInitResponse_Step[] = [];
  for (const [name, step] of stepsOf(guest, change)) {
    const startedAt = performance.now();
    let error = '';
    try {
      await step();
    } catch (thrown) {
      error = thrown instanceof Error && thrown.message !== '' ? thrown.message : 'failed';
    }
    report.push({ name, durationMs: performance.now() - startedAt, error });
  }
  return report;
}

function stepsOf(guest: Guest, change: Change): Step[] {
  const { config, tokens, identity, helper } = guest;
  const { token, sandboxId, templateId, env } = change.identity;
  const { machineId } = change;
  const steps: (Step | undefined)[] = [
    // First, and in force at once: nobody who knows the old one comes in between.
    ['token', () => tokens.set(token)],
    ...kernelSteps(helper, change),
    machineId === undefined ? undefined : ['machine_id', () => setMachineId(machineId, config)],
    change.setsHostname
      ? ['hostname', () => writeFileSync(config.hostnamePath, sandboxId)]
      : undefined,
    change.setsEnvironment ? ['environment', () => identity.setEnvironment(env)] : undefined,
    ['template_id', () => identity.setTemplateId(templateId)],
    ['sandbox_id', () => identity.setSandboxId(sandboxId)],
  ];
  return steps.filter((step) => step !== undefined);
}

function kernelSteps(helper: Coprocess, change: Change): Step[] {
  const { entropy, receivedAtNs } = change;
  const time = { wallClockNs: change.identity.wallClockNs, monotonicNs: receivedAtNs };
  if (entropy === undefined) return [['wall_clock', () => correctClock(helper, time)]];
  let started: ReturnType<typeof setClockAndEntropy> | undefined;
  const report = () => {
    started ??= setClockAndEntropy(helper, time, entropy);
    return started;
  };
  return [
    ['wall_clock', async () => (await report()).requireDone('wall_clock')],
    ['entropy', async () => (await report()).requireDone('add_entropy', 'reseed')],
  ];
}

/** A machine reads its clock chip at boot, which counts whole seconds. */
async function correctClock(helper: Coprocess, time: HostTime): Promise<void> {
  if (time.wallClockNs === 0n) return;
  const hostNowNs = time.wallClockNs + process.hrtime.bigint() - time.monotonicNs;
  const driftMs = Number(hostNowNs / NS_PER_MS) - Date.now();
  if (Math.abs(driftMs) <= CLOCK_DRIFT_MS_MAX) return;
  (await setClock(helper, time)).requireDone('wall_clock');
}
