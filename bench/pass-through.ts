/**
 * A program: the least that a server between client and agent can be. It takes
 * gRPC calls on TCP, as the control plane does, and passes their bytes on to the
 * agent's socket: no credentials, no checks, no database, no log. What a call
 * through the control plane takes beyond it is the control plane's own.
 *
 * Its argument is the path of the socket; it prints the address that it listens on.
 */
import type { Duplex } from 'node:stream';
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';

const { exec, pingSandbox, sendSignal } = HostAgentServiceService;
const { execStream, streamReadFile, streamWriteFile } = HostAgentServiceService;

const [socketPath = ''] = process.argv.slice(2);
const upstream = new Client(`unix:${socketPath}`, credentials.createInsecure());
const server = new Server();
for (const { path } of [exec, pingSandbox, sendSignal]) passOn(path);
for (const { path } of [execStream, streamReadFile, streamWriteFile]) passOnStream(path);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`127.0.0.1:${port}\n`);
});

function passOn(path: string): void {
  const handle: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    const options = { deadline: call.getDeadline() };
    const metadata = new Metadata();
    upstream.makeUnaryRequest(path, same, same, call.request, metadata, options, callback);
  };
  server.register(path, handle, same, same, 'unary');
}

/** On the wire a stream in one direction is one in both. */
function passOnStream(path: string): void {
  const handle: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    const onward = upstream.makeBidiStreamRequest(path, same, same, new Metadata());
    onward.once('error', (error) => call.destroy(error));
    call.once('cancelled', () => onward.cancel());
    // By its types such a stream takes only its messages, so Node's `pipe` does not know it.
    const [caller, agent] = [call, onward] as unknown as [Duplex, Duplex];
    caller.pipe(agent).pipe(caller);
  };
  server.register(path, handle, same, same, 'bidi');
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
