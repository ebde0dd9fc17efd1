import type { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import type { ExecRequest } from '../../gen/ts/wrenn/v1/process.js';
import { type CreateSandboxRequest, Sandbox, SandboxState } from '../../gen/ts/wrenn/v1/sandbox.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

const SANDBOX = Sandbox.fromPartial({
  sandboxId: 'abc',
  template: 'minimal',
  state: SandboxState.SANDBOX_STATE_RUNNING,
  stateReason: ErrorReason.ERROR_REASON_UNSPECIFIED,
  vcpus: 2,
  memoryMb: 512,
  metadata: { owner: 'ann' },
  createdAt: { seconds: 1767323045n, nanos: 500_000_000 },
});

describe('the gateway', () => {
  let fixture: GatewayFixture;
  let created: CreateSandboxRequest | undefined;
  let executed: ExecRequest | undefined;
  let listed: { pageSize: number; pageToken: string } | undefined;
  let metadata: Metadata | undefined;
  let deadline: Date | undefined;

  before(async () => {
    fixture = await startGatewayFixture({
      authenticate: (_path, given) => {
        metadata = given;
      },
      sandboxes: {
        createSandbox: async (_context, request) => {
          created = request;
          return SANDBOX;
        },
        getSandbox: async (context, { sandboxId }) => {
          deadline = context.deadline;
          return { ...SANDBOX, sandboxId };
        },
        listSandboxes: async (_context, request) => {
          listed = request;
          return { sandboxes: [SANDBOX], nextPageToken: 'next' };
        },
        deleteSandbox: async () => ({}),
        pingSandbox: async () => SANDBOX,
      },
      processes: {
        exec: async (context, request) => {
          executed = request;
          deadline = context.deadline;
          const isLarge = request.cmd === 'yes';
          const text = isLarge ? request.stdin.toString() : '';
          return {
            stdout: isLarge ? request.stdin : Buffer.from([0, 255]),
            stderr: Buffer.from(text),
            stdoutText: text,
            stderrText: text,
            stdoutTruncated: false,
            stderrTruncated: false,
            exitCode: 3,
            signal: '',
            durationMs: 1.5,
          };
        },
      },
      files: {
        readFile: async (_context, { path }) => ({
          contentType: path.endsWith('.bad')
            ? 'text/html\r\nx-evil: 1'
            : 'text/x-test; charset=utf-8',
          data: Buffer.from([0, 1, 254, 255]),
          extensions: [],
        }),
      },
    });
  });
  after(() => fixture.close());

  it('turns a JSON body into the message of the method', async () => {
    const body = { template: 'minimal', memoryMb: 1024, env: { A: 'b' }, timeout_sec: '60' };
    const answer = await http(fixture, 'POST', '/v1/sandboxes', { body });
    expect(answer.status).to.equal(200);
    expect(created).to.deep.include({ template: 'minimal', memoryMb: 1024, timeoutSec: 60 });
    expect(created?.env).to.deep.equal({ A: 'b' });
  });

  it('answers with the names of the proto and with every field', async () => {
    const answer = await http(fixture, 'GET', '/v1/sandboxes/xyz');
    expect(answer.headers['content-type']).to.equal('application/json');
    expect(answer.json).to.deep.equal({
      sandbox_id: 'xyz',
      template: 'minimal',
      state: 'SANDBOX_STATE_RUNNING',
      state_reason: 'ERROR_REASON_UNSPECIFIED',
      vcpus: 2,
      memory_mb: 512,
      timeout_sec: 0,
      on_timeout: 'TIMEOUT_ACTION_UNSPECIFIED',
      metadata: { owner: 'ann' },
      guest_ip: '',
      host_ip: '',
      created_at: '2026-01-02T03:04:05.500Z',
      host_id: '',
    });
  });

  it('turns query parameters into fields', async () => {
    const answer = await http(fixture, 'GET', '/v1/sandboxes?page_size=5&pageToken=a%2Bb');
    expect(answer.json.next_page_token).to.equal('next');
    expect(listed).to.deep.include({ pageSize: 5, pageToken: 'a+b' });
  });

  it('answers Empty with an empty object', async () => {
    const answer = await http(fixture, 'DELETE', '/v1/sandboxes/abc');
    expect(answer).to.deep.include({ status: 200, json: {} });
  });

  it('takes a POST without a body', async () => {
    expect((await http(fixture, 'POST', '/v1/sandboxes/abc/ping')).status).to.equal(200);
  });

  it('writes bytes as base64 and floating-point numbers as numbers', async () => {
    const body = { cmd: 'true', args: ['-x'], stdin: 'AAH/' };
    const answer = await http(fixture, 'POST', '/v1/sandboxes/abc/exec', { body });
    expect(executed).to.deep.include({ sandboxId: 'abc', cmd: 'true', args: ['-x'] });
    expect(executed?.stdin).to.deep.equal(Buffer.from([0, 1, 255]));
    expect(answer.json).to.deep.include({ stdout: 'AP8=', exit_code: 3, duration_ms: 1.5 });
  });

  it('answers a file as its bytes, with a content type that browsers keep to', async () => {
    const read = (path: string) =>
      http(fixture, 'POST', '/v1/sandboxes/abc/files/read', { body: { path } });
    const answer = await read('/a');
    expect(answer.body).to.deep.equal(Buffer.from([0, 1, 254, 255]));
    expect(answer.headers).to.deep.include({
      'content-type': 'text/x-test; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
    const bad = await read('/a.bad');
    expect(bad.headers['content-type']).to.equal('application/octet-stream');
    expect(bad.headers).to.not.have.property('x-evil');
  });

  it('carries the largest answer of Exec', async () => {
    const full = Buffer.alloc(1_000_000, 'a');
    const body = { cmd: 'yes', stdin: full.toString('base64') };
    const answer = await http(fixture, 'POST', '/v1/sandboxes/abc/exec', { body });
    expect(answer.status).to.equal(200);
    expect(Buffer.from(answer.json.stdout, 'base64').equals(full)).to.equal(true);
    expect(answer.json.stderr_text).to.have.lengthOf(full.length);
  });

  it('answers HEAD as GET without the body', async () => {
    const answer = await http(fixture, 'HEAD', '/v1/sandboxes/abc');
    expect(answer.status).to.equal(200);
    expect(Number(answer.headers['content-length'])).to.be.greaterThan(2);
    expect(answer.body).to.have.lengthOf(0);
  });

  it('answers OPTIONS with the methods of the path, and no CORS', async () => {
    const answer = await http(fixture, 'OPTIONS', '/v1/sandboxes/abc', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' },
    });
    expect(answer.status).to.equal(200);
    expect(answer.headers.allow).to.equal('DELETE, GET, HEAD, OPTIONS');
    const cors = Object.keys(answer.headers).filter((name) => name.startsWith('access-control'));
    expect(cors).to.deep.equal([]);
  });

  it('answers an unknown path and an unknown method with JSON', async () => {
    const path = await http(fixture, 'GET', '/nothing');
    expect(path.status).to.equal(404);
    expect(errorInfo(path).reason).to.equal('ROUTE_NOT_FOUND');
    const method = await http(fixture, 'PATCH', '/v1/sandboxes');
    expect(method.status).to.equal(405);
    expect(method.headers.allow).to.equal('GET, HEAD, OPTIONS, POST');
    expect(errorInfo(method).reason).to.equal('METHOD_NOT_ALLOWED');
    expect((await http(fixture, 'OPTIONS', '/nothing')).status).to.equal(404);
  });

  it('says on every answer that it is data', async () => {
    for (const path of ['/v1/sandboxes', '/nothing', '/healthz']) {
      const { headers } = await http(fixture, 'GET', path);
      expect(headers).to.deep.include({
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).to.contain("default-src 'none'");
    }
  });

  describe('with headers', () => {
    it('forwards credentials and what it knows itself, nothing else', async () => {
      const headers = {
        authorization: 'Bearer a.b.c',
        'x-api-key': 'key',
        cookie: 'a=b',
        'x-forwarded-for': '1.2.3.4',
        'x-wrenn-team': 'other',
        'x-wrenn-client-address': '1.2.3.4',
        'grpc-status-details-bin': 'AAAA',
      };
      await http(fixture, 'GET', '/v1/sandboxes', { headers });
      const names = Object.keys(metadata?.getMap() ?? {}).sort();
      expect(names).to.deep.equal([
        'authorization',
        'user-agent',
        'x-api-key',
        'x-request-id',
        'x-wrenn-client-address',
      ]);
      expect(metadata?.get('x-wrenn-client-address')).to.deep.equal(['127.0.0.1']);
      expect(metadata?.get('authorization')).to.deep.equal(['Bearer a.b.c']);
    });

    it('carries a request id through, or makes one', async () => {
      const given = await http(fixture, 'GET', '/v1/sandboxes', {
        headers: { 'x-request-id': 'id-1' },
      });
      expect(given.headers['x-request-id']).to.equal('id-1');
      expect(metadata?.get('x-request-id')).to.deep.equal(['id-1']);
      const bad = await http(fixture, 'GET', '/v1/sandboxes', {
        headers: { 'x-request-id': 'a b\tc' },
      });
      expect(bad.headers['x-request-id']).to.match(/^[a-z2-7]{26}$/);
      expect(metadata?.get('x-request-id')).to.deep.equal([bad.headers['x-request-id']]);
    });

    it('refuses a credential that is there twice or holds control characters', async () => {
      const twice = await rawHttp(
        fixture,
        'GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\nconnection: close\r\n' +
          'authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n',
      );
      expect(twice).to.match(/^HTTP\/1.1 400 /);
      const latin1 = await http(fixture, 'GET', '/v1/sandboxes', {
        headers: { 'x-api-key': 'k\u00e9y' },
      });
      expect(latin1.status).to.equal(400);
      expect(errorInfo(latin1).reason).to.equal('INVALID_REQUEST');
    });

    it('gives a call the time that its method may take, or less when the caller says so', async () => {
      const secondsFor = async (path: string, headers = {}, body?: unknown) => {
        const method = body ? 'POST' : 'GET';
        const startedAt = Date.now();
        const { status } = await http(fixture, method, path, { headers, body });
        expect(status).to.equal(200);
        return ((deadline?.getTime() ?? Number.NaN) - startedAt) / 1000;
      };
      expect(await secondsFor('/v1/sandboxes/abc')).to.be.within(115, 125);
      expect(await secondsFor('/v1/sandboxes/abc', { 'grpc-timeout': '20S' })).to.be.within(15, 25);
      expect(await secondsFor('/v1/sandboxes/abc', { 'x-wrenn-timeout-ms': '20000' })).to.be.within(
        15,
        25,
      );
      expect(await secondsFor('/v1/sandboxes/abc', { 'grpc-timeout': '99999999H' })).to.be.within(
        115,
        125,
      );
      const exec = (timeoutSec: number) =>
        secondsFor('/v1/sandboxes/abc/exec', {}, { cmd: 'x', timeout_sec: timeoutSec });
      expect(await exec(0)).to.be.within(125, 135);
      expect(await exec(3600)).to.be.within(3695, 3705);
    });

    it('refuses a timeout that it cannot read', async () => {
      for (const headers of [
        { 'grpc-timeout': '5' },
        { 'grpc-timeout': '-1S' },
        { 'x-wrenn-timeout-ms': '1s' },
        { 'x-wrenn-timeout-ms': '' },
      ]) {
        const answer = await http(fixture, 'GET', '/v1/sandboxes', { headers });
        expect(errorInfo(answer)?.reason, JSON.stringify(headers)).to.equal('INVALID_REQUEST');
      }
    });
  });

  describe('asked for health', () => {
    it('is alive and ready while the services are', async () => {
      expect(await http(fixture, 'GET', '/healthz')).to.deep.include({
        status: 200,
        json: { status: 'ok' },
      });
      expect(await http(fixture, 'GET', '/readyz')).to.deep.include({
        status: 200,
        json: { status: 'ready' },
      });
      fixture.health.setStatus('', 'NOT_SERVING');
      expect((await http(fixture, 'GET', '/readyz')).status).to.equal(503);
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
      fixture.health.setStatus('', 'SERVING');
    });
  });
});
