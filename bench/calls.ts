/**
 * `npm run bench -- calls`: GetSandbox and Exec through the control plane against
 * a server between client and agent that only passes bytes on. Its answer to the
 * one is the agent's own of the same sandbox.
 */

import { ExecRequest } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import {
  arm,
  CALL_TIMEOUT_MS,
  COMMAND,
  DIRECT,
  PROXIED,
  PUBLIC_GRPC,
  requireSuccess,
} from './call-arms.js';
import { MACHINE } from './create-arms.js';
import { type BenchContext, measure } from './measure.js';
import type { AgentClient, BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import { startProxy } from './proxy.js';
import type { BenchReport } from './report.js';
import { AGAIN, type Arm } from './rounds.js';

const ROUNDS_DEFAULT = 2000;
const WARM_UP_ROUNDS_DEFAULT = 1000;

export function benchCalls(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform('bench/calls.ts', context, (platform) => compare(platform, context));
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = context.options;
  await using proxy = await startProxy(platform.config.agentSocketPath);
  const { sandboxId } = await platform.client.sandboxes.create(MACHINE, { signal: context.signal });
  const plan = { baselines: [PROXIED], rounds: count, warmUpRounds: warmUp };
  const get = getArms(platform, proxy.agent, sandboxId);
  const exec = execArms(platform, proxy.agent, sandboxId);
  return {
    groups: [
      await measure({ title: 'GetSandbox', arms: get, ...plan }, context),
      await measure({ title: 'Exec of true', arms: exec, ...plan }, context),
    ],
  };
}

function getArms({ agent, client }: BenchPlatform, proxied: AgentClient, sandboxId: string): Arm[] {
  const through = (target: AgentClient) => (signal: AbortSignal) =>
    target.pingSandbox({ sandboxId }, { timeoutMs: CALL_TIMEOUT_MS, signal });
  return [
    arm(PROXIED, through(proxied)),
    arm(AGAIN, through(proxied)),
    arm(DIRECT, through(agent)),
    arm(PUBLIC_GRPC, (signal) => client.sandboxes.get(sandboxId, { signal })),
  ];
}

function execArms(
  { agent, client }: BenchPlatform,
  proxied: AgentClient,
  sandboxId: string,
): Arm[] {
  const request = ExecRequest.fromPartial({ ...COMMAND, sandboxId });
  const through = (target: AgentClient) => async (signal: AbortSignal) => {
    const { exitCode } = await target.exec(request, { timeoutMs: CALL_TIMEOUT_MS, signal });
    requireSuccess(exitCode);
  };
  return [
    arm(PROXIED, through(proxied)),
    arm(AGAIN, through(proxied)),
    arm(DIRECT, through(agent)),
    arm(PUBLIC_GRPC, async (signal) => {
      const { exitCode } = await client.exec(sandboxId, COMMAND, { signal });
      requireSuccess(exitCode);
    }),
  ];
}
