/**
 * A page server in a process of its own, which tests kill:
 *
 *     page-server-process.ts <options as JSON>
 *
 * It prints `listening`, and then the regions of the VMM's handshake.
 */
import { open } from 'node:fs/promises';
import { addon } from '../../native/addon/binding.js';

export interface ProcessOptions {
  paths: string[];
  runs: number[];
  checksums: number[];
  socketPath: string;
  removedPath: string;
  sizeBytes: number;
}

async function main(options: ProcessOptions): Promise<void> {
  // A page server does not keep its process alive.
  setInterval(() => undefined, 1000);
  const files = await Promise.all(options.paths.map((path) => open(path)));
  const server = addon().startPageServer({
    socketPath: options.socketPath,
    removedPath: options.removedPath,
    uid: 0,
    pid: 0,
    sizeBytes: options.sizeBytes,
    // A block is brought only for its own sake: nothing wakes a waiting thread by chance.
    runBlocksMax: 1,
    handshakeTimeoutMs: 30_000,
    memory: {
      files: files.map((file) => file.fd),
      runs: Uint32Array.from(options.runs),
      checksums: Uint32Array.from(options.checksums),
    },
  });
  console.log('listening');
  const { regions } = await server.handshake;
  server.serve();
  console.log(
    JSON.stringify(regions, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
  );
}

await main(JSON.parse(process.argv[2] ?? '{}') as ProcessOptions);
