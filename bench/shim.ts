/**
 * A program: the least that stands between HTTP and a gRPC service. It knows two
 * routes by hand and turns JSON into a call and its answer into JSON: no checks,
 * no limits, no errors of its own, no log. What a call through the gateway takes
 * beyond it is the gateway's own.
 *
 * Its argument is the gRPC address of the control plane; it prints the address
 * that it listens on.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  ExecRequest,
  type ExecResponse,
  ProcessServiceService,
} from '../gen/ts/wrenn/v1/process.js';
import { type Sandbox, SandboxServiceService, SandboxState } from '../gen/ts/wrenn/v1/sandbox.js';
import { fromTimestamp } from '../lib/rpc/timestamp.js';

interface Method<Request, Response> {
  path: string;
  requestSerialize: (request: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

const CALL_TIMEOUT_MS = 60_000;
const SANDBOX_PATH = /^\/v1\/sandboxes\/([a-z0-9]+)$/;
const EXEC_PATH = /^\/v1\/sandboxes\/([a-z0-9]+)\/exec$/;

const [address = ''] = process.argv.slice(2);
const upstream = new Client(address, credentials.createInsecure());
const server = createServer((request, response) => {
  answer(request, response).catch((error: Error) => response.writeHead(500).end(error.message));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.from(JSON.stringify(await call(request)));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  response.writeHead(200, headers).end(body);
}

async function call(request: IncomingMessage): Promise<object> {
  const metadata = new Metadata();
  metadata.set('x-api-key', String(request.headers['x-api-key']));
  const url = request.url ?? '';
  const sandboxId = SANDBOX_PATH.exec(url)?.[1];
  if (sandboxId !== undefined) {
    return fromSandbox(await unary(SandboxServiceService.getSandbox, { sandboxId }, metadata));
  }
  const body = (await json(request)) as { cmd: string; args?: string[]; timeout_sec: number };
  const command = ExecRequest.fromPartial({
    sandboxId: EXEC_PATH.exec(url)?.[1] ?? '',
    cmd: body.cmd,
    args: body.args ?? [],
    timeoutSec: body.timeout_sec,
  });
  return fromExec(await unary(ProcessServiceService.exec, command, metadata));
}

function unary<Request, Response>(
  { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
  request: Request,
  metadata: Metadata,
): Promise<Response> {
  const options = { deadline: Date.now() + CALL_TIMEOUT_MS };
  return new Promise((resolve, reject) => {
    upstream.makeUnaryRequest(
      ...([path, requestSerialize, responseDeserialize, request, metadata, options] as const),
      (error, response) => (error ? reject(error) : resolve(response as Response)),
    );
  });
}

function fromSandbox(sandbox: Sandbox): object {
  const { createdAt, startedAt, lastActiveAt } = sandbox;
  const time = (stamp: typeof createdAt) => stamp && new Date(fromTimestamp(stamp)).toISOString();
  return {
    sandbox_id: sandbox.sandboxId,
    template: sandbox.template,
    state: SandboxState[sandbox.state],
    vcpus: sandbox.vcpus,
    memory_mb: sandbox.memoryMb,
    timeout_sec: sandbox.timeoutSec,
    metadata: sandbox.metadata,
    guest_ip: sandbox.guestIp,
    host_ip: sandbox.hostIp,
    created_at: time(createdAt),
    started_at: time(startedAt),
    last_active_at: time(lastActiveAt),
    host_id: sandbox.hostId,
  };
}

function fromExec(result: ExecResponse): object {
  return {
    stdout: result.stdout.toString('base64'),
    stderr: result.stderr.toString('base64'),
    stdout_text: result.stdoutText,
    stderr_text: result.stderrText,
    exit_code: result.exitCode,
    signal: result.signal,
    duration_ms: result.durationMs,
  };
}
