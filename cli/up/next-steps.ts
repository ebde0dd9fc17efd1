import { reachableAddress } from '../address.js';
import type { PlatformConfig } from '../config.js';

/** What `wrenn up` prints when everything runs: commands to copy. */
export function nextSteps(config: PlatformConfig, apiKey: string): string[] {
  const http = reachableAddress(config.httpAddress);
  const grpc = reachableAddress(config.grpcAddress);
  const port = config.grpcAddress.port;
  const address = port === 7071 ? [] : [`  export WRENN_ADDRESS=${grpc}`];
  return [
    `Wrenn is up: HTTP on ${http}, gRPC on ${grpc}. Ctrl-C stops it; sandboxes go on.`,
    '',
    'In another terminal:',
    '',
    `  export WRENN_API_KEY=${apiKey}`,
    ...address,
    '',
    '  # curl',
    `  curl -s ${http}/v1/sandboxes -H "x-api-key: $WRENN_API_KEY"`,
    '',
    '  # grpcurl',
    `  grpcurl -plaintext ${grpc} list`,
    `  grpcurl -plaintext -H "x-api-key: $WRENN_API_KEY" ${grpc} wrenn.v1.SandboxService/ListSandboxes`,
    '',
    '  # command line',
    '  sandbox=$(./bin/wrenn sandbox create)',
    "  ./bin/wrenn exec $sandbox -- python3 -c 'print(6 * 7)'",
    '  ./bin/wrenn sandbox rm $sandbox',
    '',
    `Logs are in ${config.stateDirectory}/logs. ./bin/wrenn down pauses all sandboxes and stops.`,
  ];
}
