/**
 * The anchor for streams on the fake driver: bytes over two bare grpc-js hops,
 * client to relay (pass-through.ts) to source (bare-streams.ts), each in a
 * process of its own, as client to control plane to agent.
 */
import { join } from 'node:path';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { boundStreamBuffers } from '../lib/rpc/streams.js';
import { startProgram } from './program.js';
import type { Throughput } from './throughput.js';

const { execStream, streamReadFile, streamWriteFile } = HostAgentServiceService;

export interface BarePipeline extends AsyncDisposable {
  throughput: Throughput;
}

/** @param runDirectory is there as long as the pipeline. */
export async function startBarePipeline(runDirectory: string): Promise<BarePipeline> {
  const source = await startProgram('bare-streams', [join(runDirectory, 'bare-streams.sock')]);
  const relay = await startProgram('pass-through', [source.address]);
  boundStreamBuffers();
  const client = new Client(relay.address, credentials.createInsecure());
  return {
    throughput: {
      output: (bytes) => receive(client, execStream.path, bytes),
      download: (bytes) => receive(client, streamReadFile.path, bytes),
      upload: (pieces) => send(client, streamWriteFile.path, pieces),
    },
    [Symbol.asyncDispose]: async () => {
      client.close();
      await relay[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

/** Counted from the first piece, which is not one of them. */
async function receive(client: Client, path: string, bytes: number): Promise<number> {
  const call = client.makeServerStreamRequest(path, same, same, Buffer.alloc(0), new Metadata());
  call.on('error', () => undefined);
  let startedAt: number | undefined;
  let left = bytes;
  for await (const piece of call) {
    if (startedAt === undefined) startedAt = performance.now();
    else left -= (piece as Buffer).length;
    if (left <= 0) break;
  }
  call.cancel();
  if (startedAt === undefined || left > 0) throw new Error('the source has ended');
  return performance.now() - startedAt;
}

async function send(client: Client, path: string, pieces: Iterable<Buffer>): Promise<number> {
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    const call = client.makeClientStreamRequest(path, same, same, (error) =>
      error ? reject(error) : resolve(),
    );
    const rest = pieces[Symbol.iterator]();
    const next = () => {
      for (;;) {
        const { done, value } = rest.next();
        if (done) return call.end();
        if (!call.write(value)) return call;
      }
    };
    call.on('drain', next);
    next();
  });
  return performance.now() - startedAt;
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
