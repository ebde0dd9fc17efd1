/** A guest daemon that answers whatever a test wants, in place of the real one. */

import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  type FileEvent,
  type FileInfo,
  FilesystemServiceService,
  type ListDirRequest,
  type ListDirResponse,
  type ReadFileResponse,
  type StreamReadFileResponse,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import {
  GuestServiceService,
  type PostInitResponse,
  type PostRestoreResponse,
} from '../../gen/ts/wrenn/envd/v1/guest.js';
import {
  type ListProcessesResponse,
  type ProcessEvent,
  ProcessServiceService,
  type StartRequest,
  type StartResponse,
} from '../../gen/ts/wrenn/envd/v1/process.js';

export type StartCall = ServerWritableStream<StartRequest, StartResponse>;

/** A stream of answers: messages, or bytes in place of a message. */
export type AnswerStream<Answer> = ServerWritableStream<unknown, Answer | Buffer>;

/** Writes the answers of one call; nobody ends the stream but itself. */
export type Script<Answer> = (call: AnswerStream<Answer>) => void | Promise<void>;

/** One answer, or the bytes in its place; a call whose script is `silent` gets none. */
export type Answered<Request, Answer> = ((request: Request) => Answer | Buffer) | typeof silent;

/** Leaves a call without an answer. */
export function silent(): never {
  throw new Error('a silent call is never asked for its answer');
}

export interface HostileAnswers {
  /** What it says its version is. */
  version?: string;
  postInit?: () => PostInitResponse;
  postRestore?: () => PostRestoreResponse;
  start?: (call: StartCall) => void | Promise<void>;
  /** An error of every call, with the fields of a gRPC status. */
  failure?: { code: number; details: string; metadata?: Metadata };
  readFile?: () => ReadFileResponse;
  /** Of Launch and Attach. */
  processEvents?: Script<ProcessEvent>;
  listProcesses?: Answered<unknown, ListProcessesResponse>;
  sendSignal?: Answered<unknown, object>;
  sendInput?: Answered<unknown, object>;
  /** Of Stat, MakeDir and Move. */
  fileInfo?: Answered<unknown, FileInfo>;
  listDir?: Answered<ListDirRequest, ListDirResponse>;
  watchDir?: Script<FileEvent>;
  streamReadFile?: Script<StreamReadFileResponse>;
  streamWriteFile?: Answered<unknown, object>;
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
  const script =
    <Answer>(write: Script<Answer> | undefined) =>
    (call: AnswerStream<Answer>) => {
      call.on('error', () => undefined);
      void write?.(call);
    };
  const one =
    <Request>(make: Answered<Request, unknown> | undefined) =>
    (call: { request: Request }, callback: (error: null, value: unknown) => void) => {
      if (make !== silent) callback(null, make?.(call.request) ?? {});
    };
  server.addService(withBytes(ProcessServiceService), {
    launch: script(answers.processEvents),
    attach: script(answers.processEvents),
    listProcesses: one(answers.listProcesses),
    sendSignal: one(answers.sendSignal),
    sendInput: one(answers.sendInput),
    start: (call: StartCall) => {
      call.on('error', () => undefined);
      if (answers.failure) call.emit('error', answers.failure);
      else void answers.start?.(call);
    },
  });
  server.addService(withBytes(FilesystemServiceService), {
    stat: one(answers.fileInfo),
    makeDir: one(answers.fileInfo),
    move: one(answers.fileInfo),
    listDir: one(answers.listDir),
    watchDir: script(answers.watchDir),
    streamReadFile: script(answers.streamReadFile),
    streamWriteFile: one(answers.streamWriteFile),
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

/** The service, but that an answer which is bytes already is sent as it is. */
function withBytes(definition: object): ServiceDefinition {
  const methods = Object.entries(definition as ServiceDefinition).map(([name, method]) => {
    const responseSerialize = (answer: unknown) =>
      Buffer.isBuffer(answer) ? answer : method.responseSerialize(answer);
    return [name, { ...method, responseSerialize }];
  });
  return Object.fromEntries(methods) as ServiceDefinition;
}

/** Writes an answer again and again, as fast as the client takes it, until that goes away. */
export async function writeForever<Answer>(
  call: AnswerStream<Answer>,
  answer: () => Answer | Buffer,
): Promise<void> {
  let goOn: () => void = () => undefined;
  for (const event of ['drain', 'cancelled'] as const) call.on(event, () => goOn());
  while (!call.cancelled) {
    const drained = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    // Without a break nobody else of this process would ever run.
    if (!call.write(answer())) await drained;
    else await setImmediate();
  }
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
