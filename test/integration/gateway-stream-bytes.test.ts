/** Server streams of raw bytes over HTTP: files of any size, read as fast as they are taken. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'chai';
import type { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { GatewayLimits } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import { type Gate, gate } from '../support/gate.js';
import { settled } from '../support/settled.js';
import { type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';

const MIB = 1024 * 1024;
const CONTENT = '/v1/sandboxes/abc/files/content?path=/a';
const PIECE = Buffer.alloc(64 * 1024, 'x');
/** More than this the sockets and streams between two ends do not hold. */
const IN_FLIGHT_BYTES_MAX = 32 * MIB;

type Read = (context: CallContext<undefined>) => AsyncGenerator<HttpBody>;

function content(data: Buffer, contentType = ''): HttpBody {
  return { contentType, data, extensions: [] };
}

describe('a server stream of raw bytes', () => {
  let fixture: GatewayFixture;
  let hold: Gate;

  async function start(script: { read: Read }, limits: Partial<GatewayLimits> = {}): Promise<void> {
    hold = gate();
    fixture = await startGatewayFixture({ files: { streamReadFile: script.read } }, limits);
  }
  afterEach(async () => {
    hold.open();
    await fixture.close();
  });

  it('is the bytes alone, with the media type of the first message', async () => {
    await start({
      read: async function* () {
        yield content(Buffer.from('ab'), 'text/x-test');
        yield content(Buffer.alloc(0));
        yield content(Buffer.from('c'));
      },
    });
    for (const [method, path, body] of [
      ['GET', CONTENT, undefined],
      ['POST', '/v1/sandboxes/abc/files/stream/read', { path: '/a' }],
    ] as const) {
      const answer = await http(fixture, method, path, { body });
      expect(answer.status, path).to.equal(200);
      expect(answer.headers['content-type']).to.equal('text/x-test');
      expect(answer.body.toString()).to.equal('abc');
    }
  });

  it('may be empty', async () => {
    await start({ read: async function* () {} });
    const { status, headers, body } = await http(fixture, 'GET', CONTENT);
    expect([status, body.length]).to.deep.equal([200, 0]);
    expect(headers['content-type']).to.equal('application/octet-stream');
  });

  for (const version of ['1.1', '1.0']) {
    it(`that fails never looks complete to a client of HTTP/${version}`, async () => {
      await start({
        read: async function* () {
          yield content(Buffer.from('abc'));
          await hold.opened;
          throw new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', 'gone');
        },
      });
      const socket = connect(fixture.port, '127.0.0.1');
      const ending = new Promise<Error | undefined>((resolve) => {
        socket.once('error', resolve);
        socket.once('close', () => resolve(undefined));
      });
      let received = '';
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
      });
      socket.write(`GET ${CONTENT} HTTP/${version}\r\nhost: a\r\n\r\n`);
      await eventually(() => expect(received).to.contain('abc'));
      hold.open();
      const error = await ending;
      expect(received).to.not.match(/\r\n0\r\n\r\n$/);
      if (version === '1.0') expect(error).to.have.property('code', 'ECONNRESET');
    });
  }

  it('is read no faster than its client takes it, and the memory stays flat', async function () {
    this.timeout(120_000);
    const total = 300 * MIB;
    let produced = 0;
    await start({
      read: async function* () {
        for (; produced < total; produced += PIECE.length) yield content(PIECE);
      },
    });
    const before = process.memoryUsage().rss;
    const response = await open(CONTENT);
    await settled(() => produced);
    expect(produced).to.be.within(PIECE.length, IN_FLIGHT_BYTES_MAX);
    let received = 0;
    let peak = 0;
    for await (const chunk of response) {
      received += (chunk as Buffer).length;
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    expect(received).to.equal(total);
    expect(peak - before).to.be.lessThan(total / 2);
  });

  it('whose client takes nothing for long is cut off, and its call cancelled', async () => {
    let signal: AbortSignal | undefined;
    await start(
      {
        read: async function* (context) {
          signal = context.signal;
          for (;;) yield content(PIECE);
        },
      },
      { streamStallTimeoutMs: 300 },
    );
    const response = await open(CONTENT);
    const cut = new Promise<unknown>((resolve) => response.once('error', resolve));
    await eventually(() => expect(signal?.aborted).to.equal(true));
    response.resume();
    expect(await cut).to.be.instanceOf(Error);
  });

  function open(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ port: fixture.port, path, agent: false }, resolve);
      request.on('error', reject);
      request.end();
    });
  }
});
