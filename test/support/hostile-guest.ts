/** A guest daemon that answers whatever a test wants, in place of the real one. */

import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  FilesystemServiceService,
  type ReadFileResponse,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import {
  GuestServiceService,
  type PostInitResponse,
  type PostRestoreResponse,
} from '../../gen/ts/wrenn/envd/v1/guest.js';
import {
  ProcessServiceService,
  type StartRequest,
  type StartResponse,
} from '../../gen/ts/wrenn/envd/v1/process.js';

export type StartCall = ServerWritableStream<StartRequest, StartResponse>;

export interface HostileAnswers {
  /** What it says its version is. */
  version?: string;
  postInit?: () => PostInitResponse;
  postRestore?: () => PostRestoreResponse;
  start?: (call: StartCall) => void | Promise<void>;
  /** An error of every call, with the fields of a gRPC status. */
  failure?: { code: number; details: string; metadata?: Metadata };
  readFile?: () => ReadFileResponse;
}

export interface HostileGuest extends AsyncDisposable {
  target: string;
}

const UNBOUNDED = { 'grpc.max_send_message_length': -1 };

/** Speaks gRPC, and answers as told. */
export async function hostileGuest(answers: HostileAnswers): Promise<HostileGuest> {
  const server = new Server(UNBOUNDED);
  const answer =
    (make: (() => unknown) | undefined) =>
    (_call: unknown, callback: (error: Partial<ServiceError> | null, value?: unknown) => void) =>
      answers.failure ? callback(answers.failure) : callback(null, make?.());
  server.addService(GuestServiceService, {
    getHealth: answer(() => ({ version: answers.version ?? '0', initialized: false })),
    postInit: answer(answers.postInit),
    postRestore: answer(answers.postRestore),
  });
  server.addService(ProcessServiceService, {
    start: (call: StartCall) => {
      call.on('error', () => undefined);
      if (answers.failure) call.emit('error', answers.failure);
      else void answers.start?.(call);
    },
  });
  server.addService(FilesystemServiceService, {
    readFile: answer(answers.readFile),
    writeFile: answer(() => ({ sizeBytes: -1 })),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    target: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  };
}

/** Speaks HTTP/2, and answers each call with whatever bytes `respond` sends. */
export async function rawHttp2Guest(
  respond: (stream: ServerHttp2Stream) => void,
): Promise<HostileGuest> {
  const server = createHttp2Server();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    respond(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    target: targetOf(server.address()),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Accepts connections, and does with them whatever `accept` does. */
export async function rawTcpGuest(accept: (socket: Socket) => void): Promise<HostileGuest> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    target: targetOf(server.address()),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function targetOf(address: AddressInfo | string | null): string {
  return `127.0.0.1:${(address as AddressInfo).port}`;
}
