/**
 * A program: the least that can send and take bytes over gRPC. It stands where
 * the agent does, on a Unix socket and under the agent's paths: output and
 * download are zeros without end in messages of the sizes that the platform
 * sends, and an upload is dropped.
 *
 * Its argument is the path of the socket; it prints the address that it listens on.
 */
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';

const OUTPUT_PIECE_BYTES = 32 * 1024;
const FILE_PIECE_BYTES = 64 * 1024;

const { execStream, streamReadFile, streamWriteFile } = HostAgentServiceService;
const [socketPath = ''] = process.argv.slice(2);
const server = new Server();
sendWithoutEnd(execStream.path, Buffer.alloc(OUTPUT_PIECE_BYTES));
sendWithoutEnd(streamReadFile.path, Buffer.alloc(FILE_PIECE_BYTES));
take(streamWriteFile.path);
server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write(`${socketPath}\n`);
});

function sendWithoutEnd(path: string, piece: Buffer): void {
  const handle: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    const send = () => {
      while (!call.cancelled && call.write(piece));
    };
    call.on('drain', send);
    send();
  };
  server.register(path, handle, same, same, 'serverStream');
}

function take(path: string): void {
  const handle: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
    call.on('data', () => undefined);
    call.once('end', () => callback(null, Buffer.alloc(0)));
  };
  server.register(path, handle, same, same, 'clientStream');
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
