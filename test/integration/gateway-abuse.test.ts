/** What a hostile or broken client can do to the gateway, and what it cannot. */
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { Code, WrennError } from '../../lib/errors/index.js';
import { HEADER_BYTES_MAX, HEADER_PAIRS_MAX } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

const EMPTY_PAGE = { sandboxes: [], nextPageToken: '' };

/** A method that waits until a test lets it go. */
class Gate {
  entered = 0;
  aborted = 0;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }

  async pass(signal: AbortSignal): Promise<void> {
    this.entered += 1;
    signal.addEventListener('abort', () => {
      this.aborted += 1;
    });
    await this.#opened;
  }
}

describe('a client that goes away', () => {
  let fixture: GatewayFixture;
  let gate: Gate;

  beforeEach(async () => {
    gate = new Gate();
    fixture = await startGatewayFixture({
      sandboxes: {
        listSandboxes: async (context) => {
          await gate.pass(context.signal);
          return EMPTY_PAGE;
        },
      },
    });
  });
  afterEach(async () => {
    gate.open();
    await fixture.close();
  });

  it('cancels its call', async () => {
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write('GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => expect(gate.entered).to.equal(1));
    expect(gate.aborted).to.equal(0);
    socket.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
  });

  it('cancels its call, however it leaves', async () => {
    const request = httpRequest({ port: fixture.port, path: '/v1/sandboxes', agent: false });
    request.on('error', () => undefined);
    request.end();
    await eventually(() => expect(gate.entered).to.equal(1));
    request.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
    await eventually(() => {
      const left = fixture.logLines.filter(({ message }) => message === 'http client went away');
      expect(left).to.have.lengthOf(1);
    });
  });

  it('in the middle of its body calls nothing', async () => {
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write(
      'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
        'content-length: 100\r\n\r\n{"vcpus":',
    );
    await new Promise((resolve) => socket.write(' ', resolve));
    socket.destroy();
    await eventually(() => {
      expect(fixture.logLines.map(({ message }) => message)).to.include('http client went away');
    });
    expect(gate.entered).to.equal(0);
  });

  it('does not cancel the call of its neighbour', async () => {
    const neighbour = http(fixture, 'GET', '/v1/sandboxes');
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write('GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => expect(gate.entered).to.equal(2));
    socket.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
    gate.open();
    expect((await neighbour).status).to.equal(200);
  });
});

describe('the gateway under load', () => {
  const limits = {
    requestsMax: 2,
    connectionsMax: 4,
    bufferedBodyBytesMax: 64 * 1024,
    headersTimeoutMs: 500,
    requestTimeoutMs: 1000,
    connectionCheckIntervalMs: 100,
    closeTimeoutMs: 500,
  };
  let fixture: GatewayFixture;
  let gate: Gate;

  beforeEach(async () => {
    gate = new Gate();
    fixture = await startGatewayFixture(
      {
        sandboxes: {
          listSandboxes: async (context) => {
            await gate.pass(context.signal);
            return EMPTY_PAGE;
          },
          getSandbox: async () => {
            throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
          },
        },
      },
      limits,
    );
  });
  afterEach(async () => {
    gate.open();
    await fixture.close();
  });

  function open(text: string): Socket {
    const socket = connect(fixture.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(text);
    return socket;
  }

  it('refuses requests over its limit, and takes them again', async () => {
    const waiting = [http(fixture, 'GET', '/v1/sandboxes'), http(fixture, 'GET', '/v1/sandboxes')];
    await eventually(() => expect(gate.entered).to.equal(2));
    const refused = await http(fixture, 'GET', '/v1/sandboxes/abc');
    expect(refused.status).to.equal(503);
    expect(refused.headers['retry-after']).to.equal('1');
    expect(errorInfo(refused).reason).to.equal('OVERLOADED');
    gate.open();
    for (const { status } of await Promise.all(waiting)) expect(status).to.equal(200);
    expect((await http(fixture, 'GET', '/v1/sandboxes/abc')).status).to.equal(404);
  });

  it('counts pipelined requests, too', async () => {
    const socket = open('GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(50));
    await eventually(() => {
      const refusals = fixture.logLines.filter((line) => line.error_reason === 'OVERLOADED');
      expect(refusals.length).to.be.at.least(1);
    });
    expect(gate.entered).to.be.at.most(2);
    socket.destroy();
  });

  it('refuses bodies over what it may hold, and takes them again', async () => {
    const body = { template: 'a'.repeat(100 * 1024) };
    const refused = await http(fixture, 'POST', '/v1/sandboxes', { body });
    expect(errorInfo(refused).reason).to.equal('OVERLOADED');
    const small = { template: 'NOT-A-NAME' };
    for (let turn = 0; turn < 5; turn += 1) {
      const answer = await http(fixture, 'POST', '/v1/sandboxes', { body: small });
      expect(errorInfo(answer).reason).to.equal('INVALID_REQUEST');
    }
  });

  it('closes connections over its limit', async () => {
    const sockets = Array.from({ length: limits.connectionsMax }, () => open('GET '));
    await Promise.all(sockets.map((socket) => new Promise((done) => socket.once('connect', done))));
    expect(await rawHttp(fixture, 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')).to.equal('');
    for (const socket of sockets) socket.destroy();
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
    });
  });

  it('ends a request whose headers or body do not arrive', async () => {
    const headers = await rawHttp(fixture, 'GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n');
    expect(headers).to.match(/^HTTP\/1\.1 408 /);
    const body = await rawHttp(
      fixture,
      'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
        'content-length: 100\r\n\r\n{',
    );
    expect(body)
      .to.match(/^HTTP\/1\.1 408 /)
      .and.contain('"INVALID_REQUEST"');
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
    });
  });

  it('ends while requests are in flight: those get their answer, new ones none', async () => {
    const waiting = http(fixture, 'GET', '/v1/sandboxes');
    await eventually(() => expect(gate.entered).to.equal(1));
    const closed = fixture.closeGateway();
    await eventually(async () => {
      const refused = await http(fixture, 'GET', '/healthz').catch((error: Error) => error);
      expect(refused).to.be.instanceOf(Error);
    });
    gate.open();
    expect((await waiting).status).to.equal(200);
    await closed;
  });

  it('ends even when a request does not', async () => {
    const waiting = http(fixture, 'GET', '/v1/sandboxes').catch((error: Error) => error);
    await eventually(() => expect(gate.entered).to.equal(1));
    await fixture.closeGateway();
    expect(await waiting).to.be.instanceOf(Error);
  });
});

describe('a hostile request', () => {
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture({
      sandboxes: {
        listSandboxes: async () => EMPTY_PAGE,
        getSandbox: async () => {
          throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
        },
      },
    });
  });
  after(() => fixture.close());

  async function expectAlive(): Promise<void> {
    expect((await http(fixture, 'GET', '/v1/sandboxes')).status).to.equal(200);
    expect(fixture.logLines.filter(({ level }) => level === 'error')).to.deep.equal([]);
  }

  afterEach(expectAlive);

  it('with too many headers is refused', async () => {
    const many = Object.fromEntries(
      Array.from({ length: HEADER_PAIRS_MAX + 1 }, (_, index) => [`x-${index}`, 'a']),
    );
    const answer = await http(fixture, 'GET', '/v1/sandboxes', { headers: many });
    expect(answer.status).to.equal(431);
    expect(errorInfo(answer).reason).to.equal('INVALID_REQUEST');
    const flood = `GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${'a: b\r\n'.repeat(2000)}\r\n`;
    expect(await rawHttp(fixture, flood)).to.match(/^HTTP\/1\.1 431 /);
  });

  it('with too large headers is refused', async () => {
    const headers = { 'x-large': 'a'.repeat(HEADER_BYTES_MAX) };
    expect((await http(fixture, 'GET', '/v1/sandboxes', { headers })).status).to.equal(431);
    const path = `/v1/sandboxes?page_token=${'a'.repeat(HEADER_BYTES_MAX)}`;
    expect((await http(fixture, 'GET', path)).status).to.equal(431);
  });

  const malformed: [string, string, number][] = [
    ['that is not HTTP', 'hello\r\n\r\n', 400],
    ['of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['with two lengths', 'content-length: 2\r\ncontent-length: 3\r\n\r\n{}', 400],
    [
      'with a length and chunks',
      'content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['with a bad length', 'content-length: -1\r\n\r\n', 400],
    ['with a bad chunk', 'transfer-encoding: chunked\r\n\r\nzz\r\n', 400],
    ['with a folded header', 'x: a\r\n b\r\ncontent-length: 0\r\n\r\n', 400],
    ['with a bare line feed in a header', 'x: a\nb\r\n\r\n', 400],
    ['that is well formed', 'content-length: 0\r\n\r\n', 501],
  ];
  for (const [what, text, status] of malformed) {
    it(`${what} is answered ${status}`, async () => {
      const isWhole = /^(hello|PRI)/.test(text);
      const head = 'POST /v1/sandboxes/abc/ping HTTP/1.1\r\nhost: a\r\nconnection: close\r\n';
      const answer = await rawHttp(fixture, isWhole ? text : head + text);
      expect(answer).to.match(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answer).to.contain('ErrorInfo').and.contain('x-content-type-options: nosniff');
    });
  }

  const paths: [string, number][] = [
    ['/v1/sandboxes/../../etc/passwd', 400],
    ['/v1/sandboxes/%2e%2e/%2e%2e/etc/passwd', 400],
    ['/v1/sandboxes/..%2f..%2fetc%2fpasswd', 400],
    ['/v1/sandboxes/%252e%252e', 400],
    ['/v1/sandboxes/%00', 400],
    ['/v1/sandboxes/%ff', 400],
    ['/v1/sandboxes/a%2Fb', 400],
    ['//v1/sandboxes', 404],
    ['/v1//sandboxes', 404],
    ['/v1/sandboxes/', 404],
    ['/V1/sandboxes', 404],
    ['/v1/sandboxes;x=y', 404],
    ['/v1/sandboxes/abc', 404],
    ['/v1/sandboxes/abc:stop', 400],
    ['/wrenn.v1.SandboxService/ListSandboxes', 404],
    ['/wrenn.hostagent.v1.HostAgentService/GetHost', 404],
    ['http://other.example/v1/sandboxes', 200],
  ];
  for (const [path, status] of paths) {
    it(`for ${path} is answered ${status}`, async () => {
      expect((await http(fixture, 'GET', path)).status).to.equal(status);
    });
  }

  it('of any path and query has an answer in JSON, and none is a fault of ours', async () => {
    const piece = fc.constantFrom(
      ...['/', 'v1', 'sandboxes', 'api-keys', 'exec', '..', '%2e', '%2F', '%25', '%', '%ff', ':'],
      ...['{', '}', '*', '?', '&', '=', 'page_size', '1', '__proto__', 'a.b', '[]', ';', '\\', '+'],
    );
    const target = fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`);
    const method = fc.constantFrom('GET', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE');
    await fc.assert(
      fc.asyncProperty(method, target, async (verb, path) => {
        const answer = await http(fixture, verb, path);
        expect([200, 400, 404, 405, 415, 501]).to.include(answer.status);
        expect(answer.headers['content-type']).to.equal('application/json');
      }),
      { numRuns: 300 },
    );
  });

  it('of any JSON has an answer, and none is a fault of ours', async () => {
    const key = fc.oneof(
      fc.constantFrom('template', 'vcpus', 'memoryMb', 'env', 'metadata', '__proto__', 'toString'),
      fc.string(),
    );
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(-0, 1e21, '1', ' 1', '\ud800', null));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 4 }), async (body) => {
        const answer = await http(fixture, 'POST', '/v1/sandboxes', { body });
        expect([400, 501]).to.include(answer.status);
      }),
      { numRuns: 200 },
    );
  });

  it('of any bytes does not end the process', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (noise, afterHead) => {
        const head = afterHead
          ? 'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\nconnection: close\r\n'
          : '';
        const socket = connect(fixture.port, '127.0.0.1');
        socket.on('error', () => undefined);
        await new Promise((resolve) =>
          socket.write(Buffer.concat([Buffer.from(head), noise]), resolve),
        );
        socket.destroy();
      }),
      { numRuns: 100 },
    );
  });
});
