/**
 * The real gateway in front of the public services, whose handlers a test
 * scripts, on a Unix socket; and what the tests need to talk to it.
 */
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ChannelCredentials, type Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { ApiKeyServiceService } from '../../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService } from '../../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import { SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import { SnapshotServiceService } from '../../gen/ts/wrenn/v1/snapshot.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Fields, Log } from '../../lib/log/log.js';
import type { ServiceShape } from '../../lib/rpc/method.js';
import { type Handlers, serve } from '../../lib/rpc/service.js';
import { createRequestCheck } from '../../lib/rpc/validation.js';
import type { GatewayLimits } from '../../src/gateway/limits.js';
import { startGateway } from '../../src/gateway/server.js';
import { addReflection } from '../../src/reflection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const SERVICES = {
  auth: AuthServiceService,
  apiKeys: ApiKeyServiceService,
  sandboxes: SandboxServiceService,
  snapshots: SnapshotServiceService,
  processes: ProcessServiceService,
  files: FileServiceService,
} as const;

/** The methods that a test scripts; each other one is UNIMPLEMENTED. */
export type Script = {
  /** Calls at once that the services take on one connection. */
  streamsMax?: number;
} & {
  [K in keyof typeof SERVICES]?: Partial<Handlers<(typeof SERVICES)[K], undefined>>;
} & { authenticate?: (path: string, metadata: Metadata) => unknown };

export interface LogLine extends Fields {
  level: string;
  message: string;
}

export interface GatewayFixture {
  /** gRPC target of the services behind the gateway. */
  target: string;
  /** The same services for clients that take no Unix socket, `host:port`. */
  grpcAddress: string;
  port: number;
  /** What the gateway has logged. */
  logLines: LogLine[];
  health: HealthImplementation;
  /** Ends the services, as a crash would. */
  stopServices(): void;
  closeGateway(): Promise<void>;
  close(): Promise<void>;
}

/** Starts services and gateway. */
export async function startGatewayFixture(
  script: Script,
  limits: Partial<GatewayLimits> = {},
  corsOrigins: string[] = [],
): Promise<GatewayFixture> {
  const directory = await temporaryDirectory();
  const target = `unix:${join(directory.path, 'services.sock')}`;
  const { server, health, grpcPort } = await startServices(script, target);
  const logLines: LogLine[] = [];
  const gateway = await startGateway({
    address: '127.0.0.1:0',
    target,
    credentials: ChannelCredentials.createInsecure(),
    log: recordingLog(logLines),
    limits,
    corsOrigins,
  });
  return {
    target,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    port: Number(gateway.address.split(':')[1]),
    logLines,
    health,
    stopServices: () => server.forceShutdown(),
    closeGateway: () => gateway.close(),
    close: async () => {
      await gateway.close();
      server.forceShutdown();
      await directory.remove();
    },
  };
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  json: any;
}

export interface HttpRequest extends RequestOptions {
  body?: unknown;
}

/** Sends a request whose path goes out as it is. A body that is no text and no bytes is sent as JSON. */
export function http(
  { port }: { port: number },
  method: string,
  path: string,
  { body, headers, ...options }: HttpRequest = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
    const bytes = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: {
        ...(bytes === undefined ? {} : { 'content-type': 'application/json' }),
        ...(bytes === undefined || isChunked(headers)
          ? {}
          : { 'content-length': Buffer.byteLength(bytes) }),
        ...headers,
      },
      agent: false,
      ...options,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks);
        const isJson = response.headers['content-type'] === 'application/json';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: answer,
          json: isJson && answer.length > 0 ? JSON.parse(answer.toString()) : undefined,
        });
      });
    });
    request.end(bytes);
  });
}

function isChunked(headers: RequestOptions['headers']): boolean {
  return headers !== undefined && 'transfer-encoding' in headers;
}

/** Writes bytes to a connection of its own and returns all that comes back until it ends. */
export function rawHttp({ port }: { port: number }, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.write(bytes);
  });
}

/** The ErrorInfo of an error's JSON. */
export function errorInfo(answer: HttpAnswer): {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
} {
  const type = 'type.googleapis.com/google.rpc.ErrorInfo';
  return answer.json?.details?.find((detail: { '@type': string }) => detail['@type'] === type);
}

async function startServices(script: Script, target: string) {
  const { streamsMax } = script;
  const server = new Server(
    streamsMax === undefined ? {} : { 'grpc.max_concurrent_streams': streamsMax },
  );
  const validate = createRequestCheck();
  for (const name of Object.keys(SERVICES) as (keyof typeof SERVICES)[]) {
    const definition: ServiceShape = SERVICES[name];
    const handlers = { ...unscripted(definition), ...script[name] };
    serve(server, definition, handlers as Handlers<ServiceShape, undefined>, {
      log: recordingLog([]),
      authenticate: (path, metadata) => script.authenticate?.(path, metadata) as undefined,
      validate,
    });
  }
  const health = new HealthImplementation({ '': 'SERVING' });
  health.addToServer(server as unknown as Parameters<typeof health.addToServer>[0]);
  addReflection(server);
  await bind(server, target);
  return { server, health, grpcPort: await bind(server, '127.0.0.1:0') };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

function unscripted(definition: ServiceShape): Record<string, unknown> {
  const refusal = () =>
    new WrennError(Code.UNIMPLEMENTED, 'UNSPECIFIED', 'the test scripts no answer');
  const refuse = async () => {
    throw refusal();
  };
  // biome-ignore lint/correctness/useYield: it ends before its first message
  const refuseStream = async function* () {
    throw refusal();
  };
  const methods = Object.entries(definition);
  return Object.fromEntries(
    methods.map(([name, method]) => [name, method.responseStream ? refuseStream : refuse]),
  );
}

function recordingLog(lines: LogLine[], bound: Fields = {}): Log {
  const record = (level: string) => (message: string, fields?: Fields) => {
    lines.push({ ...bound, ...fields, level, message });
  };
  return {
    error: record('error'),
    warn: record('warn'),
    info: record('info'),
    debug: record('debug'),
    child: (fields) => recordingLog(lines, { ...bound, ...fields }),
  };
}
