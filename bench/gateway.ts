/**
 * `npm run bench -- gateway`: GetSandbox and Exec over HTTP through the gateway
 * against a server written by hand for these two routes (shim.ts), in front of
 * the same control plane.
 */
import { arm, COMMAND, PUBLIC_GRPC, PUBLIC_HTTP, requireSuccess } from './call-arms.js';
import { MACHINE } from './create-arms.js';
import { HttpClient } from './http-client.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import { startProgram } from './program.js';
import type { BenchReport } from './report.js';
import { AGAIN, type Arm } from './rounds.js';

const ROUNDS_DEFAULT = 2000;
const WARM_UP_ROUNDS_DEFAULT = 1000;
const SHIM = 'plain HTTP server before gRPC';

/** The ways to one control plane. */
interface Ways {
  shim: HttpClient;
  gateway: HttpClient;
  client: BenchPlatform['client'];
}

export function benchGateway(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform('bench/gateway.ts', context, (platform) => compare(platform, context));
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = context.options;
  const { client, grpcAddress, httpAddress, apiKey } = platform;
  await using program = await startProgram('shim', [grpcAddress]);
  using shim = new HttpClient(program.address, apiKey);
  using gateway = new HttpClient(httpAddress, apiKey);
  const { sandboxId } = await client.sandboxes.create(MACHINE, { signal: context.signal });
  const ways = { shim, gateway, client };
  const plan = { baselines: [SHIM], rounds: count, warmUpRounds: warmUp };
  const get = getArms(ways, sandboxId);
  const exec = execArms(ways, sandboxId);
  return {
    groups: [
      await measure({ title: 'GetSandbox', arms: get, ...plan }, context),
      await measure({ title: 'Exec of true', arms: exec, ...plan }, context),
    ],
  };
}

function getArms({ shim, gateway, client }: Ways, sandboxId: string): Arm[] {
  const through = (http: HttpClient) => async (signal: AbortSignal) => {
    const answer = await http.get(`/v1/sandboxes/${sandboxId}`, signal);
    const { sandbox_id: id } = answer as { sandbox_id?: string };
    if (id !== sandboxId) throw new Error(`asked for ${sandboxId}, got ${id}`);
  };
  return [
    arm(SHIM, through(shim)),
    arm(AGAIN, through(shim)),
    arm(PUBLIC_HTTP, through(gateway)),
    arm(PUBLIC_GRPC, (signal) => client.sandboxes.get(sandboxId, { signal })),
  ];
}

function execArms({ shim, gateway, client }: Ways, sandboxId: string): Arm[] {
  const path = `/v1/sandboxes/${sandboxId}/exec`;
  const body = { cmd: COMMAND.cmd, timeout_sec: COMMAND.timeoutSec };
  const through = (http: HttpClient) => async (signal: AbortSignal) => {
    const answer = (await http.post(path, body, signal)) as { exit_code?: number };
    requireSuccess(answer.exit_code);
  };
  return [
    arm(SHIM, through(shim)),
    arm(AGAIN, through(shim)),
    arm(PUBLIC_HTTP, through(gateway)),
    arm(PUBLIC_GRPC, async (signal) => {
      const { exitCode } = await client.exec(sandboxId, COMMAND, { signal });
      requireSuccess(exitCode);
    }),
  ];
}
