/**
 * `npm run bench -- stream-start`: the first byte that a program prints in an
 * ExecStream, against the same through a server that only passes bytes on, and
 * against the whole result of a unary Exec.
 */
import { arm, DIRECT, PROXIED, PUBLIC_GRPC, requireSuccess } from './call-arms.js';
import { atAgent, type Conversations, throughApi, timeToFirstByte } from './conversations.js';
import { MACHINE } from './create-arms.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import { startProxy } from './proxy.js';
import type { BenchReport } from './report.js';
import { AGAIN, type Arm } from './rounds.js';

const ROUNDS_DEFAULT = 1000;
const WARM_UP_ROUNDS_DEFAULT = 500;
const ECHO = { cmd: 'echo', args: ['here'] };
const UNARY = 'public API, gRPC Exec, its result';

export function benchStreamStart(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform('bench/stream-start.ts', context, (platform) =>
    compare(platform, context),
  );
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = context.options;
  const { agent, client, config } = platform;
  await using proxy = await startProxy(config.agentSocketPath);
  const { sandboxId } = await client.sandboxes.create(MACHINE, { signal: context.signal });
  const proxied = atAgent(proxy.agent, sandboxId);
  const group = await measure(
    {
      title: 'First byte of an ExecStream of echo',
      arms: [
        firstByte(PROXIED, proxied),
        firstByte(AGAIN, proxied),
        firstByte(DIRECT, atAgent(agent, sandboxId)),
        arm(UNARY, async (signal) => {
          requireSuccess((await client.exec(sandboxId, ECHO, { signal })).exitCode);
        }),
        firstByte(PUBLIC_GRPC, throughApi(client, sandboxId)),
      ],
      baselines: [PROXIED, UNARY],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  return { groups: [group] };
}

function firstByte(name: string, conversations: Conversations): Arm {
  return { name, measure: (signal) => timeToFirstByte(conversations, ECHO, signal) };
}
