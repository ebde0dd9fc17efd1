import { once } from 'node:events';
import { connect } from 'node:net';
import type { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { eventually } from '../support/eventually.js';
import { type Gate, gate } from '../support/gate.js';
import { ExecStreamScript, echo } from './exec-stream-script.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';
import {
  openingHead,
  openRaw,
  openWebSocket,
  PROTOCOL,
  refusalOf,
  START,
  STREAM_PATH,
} from './web-socket-client.js';

const KEY = 'wrenn_secret-key+/~';
const ENCODED = Buffer.from(KEY).toString('base64url');
const LISTED = 'https://app.example.com';

describe('the opening of a WebSocket', () => {
  const service = new ExecStreamScript();
  let fixture: GatewayFixture;
  /** What the service is told of the caller, and what it waits for. */
  let seen: Metadata | undefined;
  let admission: Gate | undefined;

  before(async () => {
    const script = {
      ...service.script,
      sandboxes: { listSandboxes: async () => ({ sandboxes: [], nextPageToken: '' }) },
      authenticate: async (path: string, metadata: Metadata) => {
        if (!path.endsWith('/ExecStream')) return;
        seen = metadata;
        await admission?.opened;
        if (metadata.get('x-api-key')[0] !== KEY) {
          throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', 'unknown');
        }
      },
    };
    const limits = { webSocketsMax: 2, webSocketHandshakeTimeoutMs: 1_000 };
    fixture = await startGatewayFixture(script, limits, [LISTED]);
  });
  after(() => fixture.close());
  beforeEach(() => {
    admission = undefined;
    service.behave = echo;
  });
  afterEach(() => eventually(() => expect(service.open).to.equal(0)));

  /** Status and reason of the answer to a raw request. */
  async function answerTo(head: string): Promise<{ status: number; reason: string; text: string }> {
    const text = await rawHttp(fixture, head);
    const [headers = '', body = ''] = text.split('\r\n\r\n');
    const { reason } = errorInfo({ json: JSON.parse(body) } as never);
    return { status: Number(headers.split(' ')[1]), reason, text };
  }

  for (const [how, options] of [
    ['a header', { headers: { 'x-api-key': KEY } }],
    ['a subprotocol', { protocols: [PROTOCOL, `wrenn.auth.${ENCODED}`] }],
    ['a subprotocol that stands first', { protocols: [`wrenn.auth.${ENCODED}`, PROTOCOL] }],
  ] as const) {
    it(`takes the API key as ${how} and never repeats it`, async () => {
      const { socket, closed, responseHeaders } = await openWebSocket(fixture, {
        ...options,
        protocols: [...('protocols' in options ? options.protocols : [PROTOCOL])],
      });
      expect(seen?.get('x-api-key')).to.deep.equal([KEY]);
      expect(socket.protocol).to.equal(PROTOCOL);
      expect(responseHeaders['sec-websocket-protocol']).to.equal(PROTOCOL);
      socket.send(START);
      socket.send('');
      expect((await closed).code).to.equal(1000);
    });
  }

  it('forwards a bearer token, and answers 401 in HTTP when the service refuses it', async () => {
    const answer = await refusalOf(fixture, { headers: { authorization: 'Bearer abc' } });
    expect(seen?.get('authorization')).to.deep.equal(['Bearer abc']);
    expect(answer.status).to.equal(401);
    expect(answer.headers['content-type']).to.equal('application/json');
    expect(answer.headers['www-authenticate']).to.be.a('string');
    expect(errorInfo(answer).reason).to.equal('CREDENTIAL_INVALID');
    expect(errorInfo(answer).metadata.request_id).to.equal(answer.headers['x-request-id']);
    expect(service.open).to.equal(0);
  });

  for (const [what, offers, headers] of [
    ['an unknown key', `wrenn.auth.${Buffer.from('other').toString('base64url')}`, []],
    ['a key in a header and a subprotocol', `wrenn.auth.${ENCODED}`, [`x-api-key: ${KEY}`]],
    ['a token and a key', `wrenn.auth.${ENCODED}`, ['authorization: Bearer abc']],
    ['two keys', `wrenn.auth.${ENCODED}, wrenn.auth.YQ`, []],
    ['no key', 'wrenn.auth.', []],
    ['padding', 'wrenn.auth.YQ==', []],
    ['the other base64', 'wrenn.auth.-_+/', []],
    ['stray bits at the end', 'wrenn.auth.YR', []],
    ['a length that no bytes have', 'wrenn.auth.YWJjZ', []],
    ['a line break in the key', `wrenn.auth.${Buffer.from('a\nb').toString('base64url')}`, []],
  ] as const) {
    it(`refuses ${what} with 401 before the upgrade`, async () => {
      const head = openingHead(STREAM_PATH, [`sec-websocket-protocol: ${offers}`, ...headers]);
      const { status, reason, text } = await answerTo(head);
      expect([status, reason]).to.deep.equal([401, 'CREDENTIAL_INVALID']);
      expect(text).not.to.contain(ENCODED);
    });
  }

  it('writes no credential to the log', () => {
    const log = JSON.stringify(fixture.logLines);
    expect(log).to.contain('CREDENTIAL_INVALID');
    for (const secret of [KEY, ENCODED, 'Bearer']) expect(log).not.to.contain(secret);
  });

  const withKey = [`sec-websocket-protocol: wrenn.auth.${ENCODED}`];
  const own = (path: string) => openingHead(path, withKey);
  for (const [what, head, status, reason] of [
    ['another route', own('/v1/sandboxes'), 400, 'INVALID_REQUEST'],
    ['a health check', own('/healthz'), 404, 'ROUTE_NOT_FOUND'],
    ['no route', own('/v1/nothing'), 404, 'ROUTE_NOT_FOUND'],
    ['a path with ..', own('/v1/../v1'), 400, 'INVALID_REQUEST'],
    ['POST', own(STREAM_PATH).replace('GET', 'POST'), 405, 'METHOD_NOT_ALLOWED'],
    ['version 8', own(STREAM_PATH).replace('n: 13', 'n: 8'), 426, 'METHOD_NOT_ALLOWED'],
    ['no version', own(STREAM_PATH).replace('-version', '-x'), 426, 'METHOD_NOT_ALLOWED'],
    ['a short key', own(STREAM_PATH).replace('AAAAAA', 'A'), 400, 'INVALID_REQUEST'],
    ['no subprotocol', own(STREAM_PATH).replace(PROTOCOL, 'x'), 400, 'INVALID_REQUEST'],
    ['a body', openingHead(STREAM_PATH, ['content-length: 1']), 400, 'INVALID_REQUEST'],
    [
      'one subprotocol twice',
      own(STREAM_PATH).replace(/: (wrenn.v1.json)/, ': $1,$1'),
      400,
      'INVALID_REQUEST',
    ],
    ['too many headers', openingHead(STREAM_PATH, Array(70).fill('a: b')), 431, 'INVALID_REQUEST'],
    [
      'two API keys',
      openingHead(STREAM_PATH, ['x-api-key: a', 'x-api-key: b']),
      400,
      'INVALID_REQUEST',
    ],
  ] as const) {
    it(`answers ${status} to a request with ${what}`, async () => {
      const answer = await answerTo(head);
      expect([answer.status, answer.reason]).to.deep.equal([status, reason]);
      const isUpgrade = /^upgrade: websocket\r$/m.test(answer.text);
      expect(isUpgrade).to.equal(status === 426);
    });
  }

  const origins: [string, (port: number) => string, boolean][] = [
    ['its own', (port) => `http://127.0.0.1:${port}`, true],
    ['its own behind TLS', (port) => `https://127.0.0.1:${port}`, true],
    ['a listed one', () => LISTED, true],
    ['a listed one with another port', () => `${LISTED}:444`, false],
    ['a listed one with another scheme', () => 'http://app.example.com', false],
    ['another port', (port) => `http://127.0.0.1:${port + 1}`, false],
    ['no port', () => 'http://127.0.0.1', false],
    ['another host', () => 'https://evil.example', false],
    ['a host that begins alike', (port) => `http://127.0.0.1:${port}.evil.example`, false],
    ['a host behind an @', (port) => `http://127.0.0.1:${port}@evil.example`, false],
    ['a path', (port) => `http://127.0.0.1:${port}/`, false],
    ['another kind of scheme', (port) => `file://127.0.0.1:${port}`, false],
    ['null', () => 'null', false],
    ['nothing', () => '', false],
  ];
  for (const [what, originOf, isAllowed] of origins) {
    it(`${isAllowed ? 'takes' : 'refuses'} the origin with ${what}`, async () => {
      seen = undefined;
      const headers = { origin: originOf(fixture.port), 'x-api-key': KEY };
      if (isAllowed) {
        const { socket, closed } = await openWebSocket(fixture, { headers });
        socket.close();
        await closed;
        return;
      }
      const answer = await refusalOf(fixture, { headers });
      expect([answer.status, errorInfo(answer).reason]).to.deep.equal([403, 'ORIGIN_NOT_ALLOWED']);
      expect(seen).to.equal(undefined);
    });
  }

  it('refuses two origins though one is listed', async () => {
    const head = openingHead(STREAM_PATH, [`origin: ${LISTED}`, 'origin: https://evil.example']);
    expect((await answerTo(head)).status).to.equal(403);
  });

  it('takes no more WebSockets at once than it may, and refused ones do not count', async () => {
    const headers = { 'x-api-key': KEY };
    const first = await openWebSocket(fixture, { headers });
    const refused = await openRaw(fixture);
    const second = await openWebSocket(fixture, { headers });
    const answer = await refusalOf(fixture, { headers });
    expect([answer.status, errorInfo(answer).reason]).to.deep.equal([429, 'OVERLOADED']);
    expect(answer.headers['retry-after']).to.equal('1');
    refused.socket.destroy();
    for (const { socket, closed } of [first, second]) {
      socket.close();
      await closed;
    }
    const third = await eventually(() => openWebSocket(fixture, { headers }));
    third.socket.close();
    await third.closed;
  });

  it('gives up on a service that lets nobody in, with 504', async () => {
    admission = gate();
    const answer = await refusalOf(fixture, { headers: { 'x-api-key': KEY } });
    expect([answer.status, errorInfo(answer).reason]).to.deep.equal([504, 'CANCELLED']);
    admission.open();
  });

  it('ends the call of a client that has gone before it was let in', async () => {
    admission = gate();
    seen = undefined;
    const socket = connect(fixture.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(openingHead(STREAM_PATH, [`x-api-key: ${KEY}`]));
    await eventually(() => expect(seen).not.to.equal(undefined));
    socket.resetAndDestroy();
    const lines = fixture.logLines.length;
    await eventually(() => expect(fixture.logLines.length).to.be.greaterThan(lines));
    expect(fixture.logLines.at(-1)?.message).to.equal('websocket client went away');
    admission.open();
  });

  it('answers 503 while the services are down', async () => {
    const doomed = await startGatewayFixture({});
    doomed.stopServices();
    const answer = await refusalOf(doomed);
    expect([answer.status, errorInfo(answer).reason]).to.deep.equal([503, 'SHUTTING_DOWN']);
    await doomed.close();
  });

  it('answers a request that offers another protocol as if it did not', async () => {
    const headers = {
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AA',
    };
    const listed = await http(fixture, 'GET', '/v1/sandboxes', { headers });
    expect([listed.status, listed.json.sandboxes]).to.deep.equal([200, []]);
    const stream = await http(fixture, 'GET', STREAM_PATH, { headers });
    expect(stream.status).to.equal(426);
    const posted = await http(fixture, 'POST', '/v1/sandboxes', { headers, body: { nope: 1 } });
    expect([posted.status, errorInfo(posted).reason]).to.deep.equal([400, 'INVALID_JSON']);
  });

  it('reads nothing behind a request of too many headers that offers another protocol', async () => {
    const lines = [...Array<string>(150).fill('a: b'), 'connection: upgrade', 'upgrade: h2c'];
    const hidden = 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n';
    const head = `POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\n${lines.join('\r\n')}`;
    const text = await rawHttp(
      fixture,
      `${head}\r\ncontent-length: ${hidden.length}\r\n\r\n${hidden}`,
    );
    expect(text.match(/HTTP\/1.1 \d+/g)).to.deep.equal(['HTTP/1.1 431']);
  });

  it('reads what is pipelined behind a request that offers another protocol', async () => {
    const request = (headers: string) => `GET /healthz HTTP/1.1\r\nhost: a\r\n${headers}\r\n\r\n`;
    const offer = request('connection: upgrade\r\nupgrade: h2c');
    const text = await rawHttp(fixture, offer + request('connection: close'));
    expect(text.match(/HTTP\/1.1 200 OK/g)).to.have.length(2);
  });

  it('closes a connection that asks for a WebSocket before an earlier answer is there', async () => {
    const pending = `GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n${openingHead()}`;
    const socket = connect(fixture.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(pending);
    await once(socket, 'close');
    expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
  });
});
