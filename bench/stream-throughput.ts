/**
 * `npm run bench -- stream-throughput`: time of so many bytes of output, download
 * and upload through the whole platform. With real machines the anchor is a raw
 * TCP connection into the same guest; on the fake driver, which has no network,
 * a bare grpc-js pipeline of as many hops.
 */
import { randomBytes } from 'node:crypto';
import { startBarePipeline } from './bare-pipeline.js';
import { DIRECT, PROXIED, PUBLIC_GRPC, PUBLIC_HTTP } from './call-arms.js';
import { MACHINE } from './create-arms.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { type Findings, withPlatform } from './platform-run.js';
import { startProxy } from './proxy.js';
import { startRawGuest } from './raw-guest.js';
import type { BenchReport, CountReport, GroupReport } from './report.js';
import { AGAIN, type Arm } from './rounds.js';
import {
  agentThroughput,
  apiThroughput,
  DOWNLOAD_PATH,
  httpThroughput,
  piecesOf,
  type Throughput,
} from './throughput.js';

const MB = 1e6;
const BYTES = { qemu: 8 * MB, fake: 16 * MB };
const ROUNDS_DEFAULT = { qemu: 10, fake: 20 };
const WARM_UP_ROUNDS_DEFAULT = { qemu: 1, fake: 3 };

/** In the order of the rounds; the first is the anchor. */
type Ways = [name: string, throughput: Throughput][];

export function benchStreamThroughput(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/stream-throughput.ts', context, (platform) =>
    context.options.driver === 'fake' ? onFake(platform, context) : onQemu(platform, context),
  );
}

async function onQemu(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { client, agent } = platform;
  const { signal } = context;
  context.progress.show('starting a guest');
  const { sandboxId, guestIp } = await client.sandboxes.create(MACHINE, { signal });
  const raw = await startRawGuest(client, sandboxId, guestIp, signal);
  return await compare(platform, context, sandboxId, [
    ['raw TCP into the guest', raw],
    [AGAIN, raw],
    [DIRECT, agentThroughput(agent, sandboxId)],
    [PUBLIC_GRPC, apiThroughput(platform, sandboxId)],
    [PUBLIC_HTTP, httpThroughput(platform, sandboxId)],
  ]);
}

async function onFake(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { client, agent, config } = platform;
  await using bare = await startBarePipeline(config.runDirectory);
  await using proxy = await startProxy(config.agentSocketPath);
  const { sandboxId } = await client.sandboxes.create(MACHINE, { signal: context.signal });
  return await compare(platform, context, sandboxId, [
    ['bare grpc-js pipeline', bare.throughput],
    [AGAIN, bare.throughput],
    [DIRECT, agentThroughput(agent, sandboxId)],
    [PROXIED, agentThroughput(proxy.agent, sandboxId)],
    [PUBLIC_GRPC, apiThroughput(platform, sandboxId)],
    [PUBLIC_HTTP, httpThroughput(platform, sandboxId)],
  ]);
}

async function compare(
  platform: BenchPlatform,
  context: BenchContext,
  sandboxId: string,
  ways: Ways,
): Promise<Findings> {
  const { driver, count, warmUp } = context.options;
  const bytes = BYTES[driver];
  const pieces = piecesOf(randomBytes(bytes));
  const { files } = platform.client;
  await files.writeStream(
    sandboxId,
    DOWNLOAD_PATH,
    toStream(pieces),
    {},
    {
      signal: context.signal,
    },
  );
  const plan = {
    baselines: ways.slice(0, 1).map(([name]) => name),
    rounds: count ?? ROUNDS_DEFAULT[driver],
    warmUpRounds: warmUp ?? WARM_UP_ROUNDS_DEFAULT[driver],
  };
  const title = (what: string) => `${what}, ${bytes / MB} MB`;
  const groups = [
    await measure({ title: title('Output'), arms: outputArms(ways, bytes), ...plan }, context),
    await measure(
      {
        title: title('Download'),
        arms: ways.map(([name, { download }]) => ({
          name,
          measure: (signal) => download(bytes, signal),
        })),
        ...plan,
      },
      context,
    ),
    await measure(
      {
        title: title('Upload'),
        arms: ways.map(([name, { upload }]) => ({
          name,
          measure: (signal) => upload(pieces, signal),
        })),
        ...plan,
      },
      context,
    ),
  ];
  return { groups, counts: groups.flatMap((group) => rates(group, bytes)) };
}

function outputArms(ways: Ways, bytes: number): Arm[] {
  return ways.flatMap(([name, { output }]) =>
    output ? [{ name, measure: (signal) => output(bytes, signal) }] : [],
  );
}

/** Megabytes a second at the median. */
function rates({ title, arms }: GroupReport, bytes: number): CountReport[] {
  return arms
    .filter(({ name }) => name !== AGAIN)
    .map(({ name, summary }) => ({
      name: `${title}: ${name}, MB/s`,
      value: Math.round((bytes / MB / (summary.median / 1000)) * 10) / 10,
    }));
}

async function* toStream(pieces: Iterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield* pieces;
}
