/** What a hostile or broken client can send, and the answer that it gets. */
import { connect } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { Code, WrennError } from '../../lib/errors/index.js';
import { HEADER_BYTES_MAX, HEADER_PAIRS_MAX } from '../../src/gateway/limits.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

describe('a hostile request', () => {
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture({
      sandboxes: {
        listSandboxes: async () => ({ sandboxes: [], nextPageToken: '' }),
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
