/**
 * A program: holds streams open, each a conversation with a program that prints a
 * line a second, in a process of its own so that reading them costs the
 * benchmark's process nothing. It prints the number of streams when all have
 * shown output; at SIGTERM it kills the programs and ends.
 *
 * Its arguments: gRPC address, API key, streams for each sandbox, ids of sandboxes.
 */
import { credentials } from '@grpc/grpc-js';
import { ExecStreamRequest, ProcessServiceService, Signal } from '../gen/ts/wrenn/v1/process.js';
import { createClient } from '../lib/rpc/client.js';

const PERIOD_MS = 1000;
const PROGRAM = { cmd: 'tick', args: [String(PERIOD_MS)] };

const [address = '', apiKey = '', count = '', ...sandboxIds] = process.argv.slice(2);
const ending = new Promise<void>((resolve) => process.once('SIGTERM', resolve));
let waiting = sandboxIds.length * Number(count);
const total = waiting;

await Promise.all(sandboxIds.map(holdStreams));

/** One connection takes so many streams, so each sandbox has one of its own. */
async function holdStreams(sandboxId: string): Promise<void> {
  const client = createClient(ProcessServiceService, address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  const options = { timeoutMs: Number.POSITIVE_INFINITY, metadata: { 'x-api-key': apiKey } };
  const streams = Array.from({ length: Number(count) }, async () => {
    let isFirst = true;
    for await (const { event } of client.execStream(requests(sandboxId), options)) {
      if (event?.$case === 'stdout' && isFirst) {
        isFirst = false;
        noteOutput();
      }
    }
  });
  await Promise.all(streams);
  client.close();
}

function noteOutput(): void {
  waiting -= 1;
  if (waiting === 0) process.stdout.write(`${total}\n`);
}

async function* requests(sandboxId: string): AsyncGenerator<ExecStreamRequest, void, void> {
  yield ExecStreamRequest.fromPartial({ sandboxId, message: { $case: 'start', value: PROGRAM } });
  await ending;
  yield ExecStreamRequest.fromPartial({
    message: { $case: 'signal', value: Signal.SIGNAL_KILL },
  });
}
