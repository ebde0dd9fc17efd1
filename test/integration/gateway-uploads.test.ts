/** Client streams over HTTP: raw bodies and forms of any length, and those that break off. */
import { createHash, randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'chai';
import type { StreamWriteFileRequest } from '../../gen/ts/wrenn/v1/file.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import { type GatewayLimits, UPLOAD_PIECE_BYTES_MAX } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import { type Gate, gate } from '../support/gate.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

const MIB = 1024 * 1024;
const FILE = '/v1/sandboxes/abc/files/stream/write';
const FORM = '/v1/sandboxes/abc/files/write';
const PART = '--b\r\ncontent-disposition: form-data; name=';
const FORM_HEADERS = { 'content-type': 'multipart/form-data; boundary=b' };
const PIECE = Buffer.alloc(64 * 1024, 'x');
/** More than this the sockets and streams between two ends do not hold. */
const IN_FLIGHT_BYTES_MAX = 32 * MIB;

/** What the service has seen of uploads. */
interface Seen {
  requests: StreamWriteFileRequest[];
  bytes: number;
  /** Only of uploads that came to their end. */
  digests: string[];
  failures: unknown[];
  signal?: AbortSignal;
}

describe('an upload', () => {
  let fixture: GatewayFixture;
  let seen: Seen;
  let hold: Gate;

  /** Takes an upload to its end, as slowly as the gate says, and keeps no content. */
  async function take(
    context: CallContext<undefined>,
    requests: AsyncIterable<StreamWriteFileRequest>,
  ) {
    seen.signal = context.signal;
    const hash = createHash('sha256');
    try {
      for await (const request of requests) {
        const data = request.file?.data ?? Buffer.alloc(0);
        if (seen.requests.length < 100) seen.requests.push(request);
        seen.bytes += data.length;
        hash.update(data);
        await hold.opened;
      }
    } catch (error) {
      seen.failures.push(error);
      throw error;
    }
    seen.digests.push(hash.digest('hex'));
    return { path: seen.requests[0]?.path ?? '', sizeBytes: seen.bytes };
  }

  async function start(
    limits: Partial<GatewayLimits> = {},
    streamWriteFile: typeof take = take,
  ): Promise<void> {
    seen = { requests: [], bytes: 0, digests: [], failures: [] };
    hold = gate();
    fixture = await startGatewayFixture({ files: { streamWriteFile } }, limits);
  }
  afterEach(async () => {
    hold.open();
    await fixture.close();
  });

  /** Begins a request whose body the test writes. */
  function begin(path: string, headers: Record<string, string> = {}) {
    const request = httpRequest({
      ...{ port: fixture.port, path, method: 'POST', headers, agent: false },
    });
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    });
    answer.catch(() => undefined);
    return { request, answer };
  }

  function expectNothingWritten(): void {
    expect(seen.digests).to.deep.equal([]);
  }

  describe('of a raw body', () => {
    it('carries the bytes in pieces, with all fields in the first message', async () => {
      await start();
      hold.open();
      const body = randomBytes(3 * MIB + 1);
      const answer = await http(fixture, 'POST', `${FILE}?path=/a%20b&mode=384&user=bob`, {
        body,
        headers: { 'content-type': 'image/png' },
      });
      expect(answer.json).to.deep.equal({ path: '/a b', size_bytes: body.length });
      const [first, ...others] = seen.requests;
      expect(first).to.deep.include({ sandboxId: 'abc', path: '/a b', mode: 384, user: 'bob' });
      expect(first?.file?.contentType).to.equal('image/png');
      for (const request of others) {
        expect(request).to.deep.include({ sandboxId: '', path: '', mode: 0, user: '' });
        expect(request.file?.data.length).to.be.within(1, UPLOAD_PIECE_BYTES_MAX);
      }
      expect(seen.digests).to.deep.equal([sha256(body)]);
    });

    it('may be empty, of any type, and of a form of another route', async () => {
      await start();
      hold.open();
      expect((await http(fixture, 'POST', `${FILE}?path=/a`)).json.size_bytes).to.equal(0);
      const json = { body: '{"path":"/b"}', headers: { 'content-type': 'application/json' } };
      expect((await http(fixture, 'POST', `${FILE}?path=/a`, json)).json.path).to.equal('/a');
      expect(seen.digests).to.deep.equal([sha256(''), sha256(json.body)]);
    });

    it('is invited when the client waits for that', async () => {
      await start();
      hold.open();
      const headers = { expect: '100-continue' };
      const answer = await http(fixture, 'POST', `${FILE}?path=/a`, { body: 'abc', headers });
      expect([answer.status, seen.bytes]).to.deep.equal([200, 3]);
    });

    for (const [what, query, headers, status] of [
      ['with an unknown parameter', 'nothing=1', {}, 400],
      ['with a parameter twice', 'path=/a&path=/b', {}, 400],
      ['with a parameter that the path holds', 'sandbox_id=other', {}, 400],
      ['with a parameter that the body holds', 'file.content_type=a', {}, 400],
      ['that is compressed', 'path=/a', { 'content-encoding': 'gzip' }, 415],
    ] as const) {
      it(`${what} is refused`, async () => {
        await start();
        hold.open();
        const answer = await http(fixture, 'POST', `${FILE}?${query}`, { body: 'abc', headers });
        expect(answer.status).to.equal(status);
        expect(seen.requests).to.deep.equal([]);
      });
    }

    it('goes no faster than the service takes it, and the memory stays flat', async function () {
      this.timeout(120_000);
      await start();
      const total = 300 * MIB;
      const before = process.memoryUsage().rss;
      const { request, answer } = begin(`${FILE}?path=/a`);
      const progress = { written: 0, peak: 0 };
      const written = writeAll(request, total, progress);
      await settled(() => progress.written);
      expect(progress.written).to.be.lessThan(IN_FLIGHT_BYTES_MAX);
      hold.open();
      await written;
      const response = await answer;
      expect(response.statusCode).to.equal(200);
      expect(seen.bytes).to.equal(total);
      expect(progress.peak - before).to.be.lessThan(total / 2);
    });

    it('may last longer than other bodies, as long as it makes progress', async () => {
      await start({ requestTimeoutMs: 100, uploadStallTimeoutMs: 5_000 });
      hold.open();
      const { request, answer } = begin(`${FILE}?path=/a`);
      const startedAt = performance.now();
      await eventually(() => {
        request.write('x');
        expect(performance.now() - startedAt).to.be.greaterThan(400);
      });
      request.end();
      expect((await answer).statusCode).to.equal(200);
    });

    it('that makes no progress is cut, and nothing is written', async () => {
      await start({ uploadStallTimeoutMs: 200 });
      hold.open();
      const { request, answer } = begin(`${FILE}?path=/a`);
      request.write('abc');
      const response = await answer;
      expect([response.statusCode, response.headers.connection]).to.deep.equal([408, 'close']);
      await eventually(() => expect(seen.signal?.aborted).to.equal(true));
      await eventually(() => expect(seen.failures).to.have.lengthOf(1));
      expectNothingWritten();
    });

    it('whose service is slow is not cut', async () => {
      await start({ uploadStallTimeoutMs: 100, answerTimeoutMs: 100 });
      const answer = http(fixture, 'POST', `${FILE}?path=/a`, { body: PIECE });
      const startedAt = performance.now();
      await eventually(() => expect(performance.now() - startedAt).to.be.greaterThan(400));
      hold.open();
      expect((await answer).status).to.equal(200);
    });

    it('that its client gives up is cancelled, and nothing is written', async () => {
      await start();
      hold.open();
      const { request } = begin(`${FILE}?path=/a`, { 'content-length': '1000' });
      request.write('abc');
      await eventually(() => expect(seen.bytes).to.equal(3));
      request.destroy();
      await eventually(() => expect(seen.signal?.aborted).to.equal(true));
      await eventually(() => expect(seen.failures).to.have.lengthOf(1));
      expectNothingWritten();
    });

    it('that is cut between two chunks is cancelled, and nothing is written', async () => {
      await start();
      hold.open();
      const socket = connect(fixture.port, '127.0.0.1');
      socket.write(
        `POST ${FILE}?path=/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`,
      );
      await eventually(() => expect(seen.bytes).to.equal(3));
      socket.end();
      await eventually(() => expect(seen.failures).to.have.lengthOf(1));
      expectNothingWritten();
      socket.destroy();
    });

    it('with a chunk that is none is cancelled, and nothing is written', async () => {
      await start();
      hold.open();
      const answer = await rawHttp(
        fixture,
        `POST ${FILE}?path=/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`,
      );
      expect(answer).to.match(/^HTTP\/1\.1 400 /);
      expectNothingWritten();
    });

    it('that the service refuses ends at once, and the client sees the answer', async () => {
      await start({}, async () => {
        throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
      });
      const answer = await http(fixture, 'POST', `${FILE}?path=/a`, { body: randomBytes(8 * MIB) });
      expect([answer.status, errorInfo(answer).reason]).to.deep.equal([404, 'SANDBOX_NOT_FOUND']);
    });

    it('lasts no longer than its caller waits', async () => {
      await start();
      const headers = { 'x-wrenn-timeout-ms': '200' };
      const answer = await http(fixture, 'POST', `${FILE}?path=/a`, { body: 'abc', headers });
      expect(answer.status).to.equal(504);
      expectNothingWritten();
    });
  });

  describe('of a form', () => {
    const path = `${PART}"path"\r\n\r\n/a\r\n`;
    const file = `${PART}"file"; filename="x"\r\ncontent-type: image/png\r\n\r\n`;

    it('carries its file as it comes, with all fields in the first message', async () => {
      await start();
      hold.open();
      const { request, answer } = begin(FORM, FORM_HEADERS);
      request.write(`${path}${PART}"mode"\r\n\r\n384\r\n${file}abc`);
      await eventually(() => expect(seen.bytes).to.be.greaterThan(0));
      expect(seen.requests[0]).to.deep.include({ sandboxId: 'abc', path: '/a', mode: 384 });
      expect(seen.requests[0]?.file?.contentType).to.equal('image/png');
      request.end('def\r\n--b--\r\n');
      expect((await answer).statusCode).to.equal(200);
      expect(seen.digests).to.deep.equal([sha256('abcdef')]);
    });

    it('goes to the route of the stream, too, whose query adds to it', async () => {
      await start();
      hold.open();
      const body = `${path}${file}abc\r\n--b--\r\n`;
      const options = { body, headers: FORM_HEADERS };
      expect((await http(fixture, 'POST', `${FILE}?mode=1`, options)).status).to.equal(200);
      expect(seen.requests[0]).to.deep.include({ path: '/a', mode: 1 });
      expect((await http(fixture, 'POST', `${FILE}?path=/b`, options)).status).to.equal(400);
      expect(seen.digests).to.have.lengthOf(1);
    });

    it('without a file has no content', async () => {
      await start();
      hold.open();
      const body = `${path}--b--\r\n`;
      const answer = await http(fixture, 'POST', FORM, { body, headers: FORM_HEADERS });
      expect(answer.json).to.deep.equal({ path: '/a', size_bytes: 0 });
    });

    for (const [what, ending] of [
      ['with a field behind its file', `\r\n${PART}"mode"\r\n\r\n1\r\n--b--\r\n`],
      ['with a second file', `\r\n${file}def\r\n--b--\r\n`],
      ['with an unknown field behind its file', `\r\n${PART}"nothing"\r\n\r\n1\r\n--b--\r\n`],
      [
        'with a part in base64 behind it',
        `\r\n${PART}"a"\r\ncontent-transfer-encoding: base64\r\n\r\n1\r\n--b--\r\n`,
      ],
      ['without its end', ''],
      ['without its last line', '\r\n--b'],
    ] as const) {
      it(`${what} is refused when its content has been sent, and nothing is written`, async () => {
        await start();
        hold.open();
        const { request, answer } = begin(FORM, FORM_HEADERS);
        request.write(`${path}${file}`);
        for (let count = 0; count < 20; count += 1) request.write(PIECE);
        await eventually(() => expect(seen.bytes).to.be.greaterThan(10 * PIECE.length));
        request.end(ending);
        expect((await answer).statusCode).to.equal(400);
        await eventually(() => expect(seen.signal?.aborted).to.equal(true));
        expectNothingWritten();
      });
    }

    it('that its client gives up is cancelled, and nothing is written', async () => {
      await start();
      hold.open();
      const { request } = begin(FORM, FORM_HEADERS);
      request.write(`${path}${file}`);
      for (let count = 0; count < 20; count += 1) request.write(PIECE);
      await eventually(() => expect(seen.bytes).to.be.greaterThan(10 * PIECE.length));
      request.destroy();
      await eventually(() => expect(seen.failures).to.have.lengthOf(1));
      expectNothingWritten();
    });

    it('that makes no progress is cut, before its file and in it', async () => {
      await start({ uploadStallTimeoutMs: 200 });
      hold.open();
      for (const text of [path, `${path}${file}`, `${path}${file}abc`]) {
        const { request, answer } = begin(FORM, FORM_HEADERS);
        request.write(text);
        expect((await answer).statusCode, text).to.equal(408);
        request.destroy();
      }
      expectNothingWritten();
    });

    it('whose fields come a little at a time is cut before it is a stream', async () => {
      await start({ requestTimeoutMs: 300 });
      const { request, answer } = begin(FORM, FORM_HEADERS);
      request.write(`${PART}"path"\r\n\r\n/`);
      const trickle = setInterval(() => request.write('a'), 50);
      try {
        expect((await answer).statusCode).to.equal(408);
      } finally {
        clearInterval(trickle);
        request.destroy();
      }
      expect(seen.signal).to.equal(undefined);
    });

    it('goes no faster than the service takes it, and the memory stays flat', async function () {
      this.timeout(120_000);
      await start();
      const total = 150 * MIB;
      const before = process.memoryUsage().rss;
      const { request, answer } = begin(FORM, FORM_HEADERS);
      request.write(`${path}${file}`);
      const progress = { written: 0, peak: 0 };
      const written = writeAll(request, total, progress, '\r\n--b--\r\n');
      await settled(() => progress.written);
      expect(progress.written).to.be.lessThan(IN_FLIGHT_BYTES_MAX);
      hold.open();
      await written;
      expect((await answer).statusCode).to.equal(200);
      expect(seen.bytes).to.equal(total);
      expect(progress.peak - before).to.be.lessThan(total / 2);
    });
  });

  it('leaves no fault of ours in the log', async () => {
    await start();
    hold.open();
    await http(fixture, 'POST', FORM, { body: '--b', headers: FORM_HEADERS });
    const { request } = begin(`${FILE}?path=/a`);
    request.write('abc');
    await eventually(() => expect(seen.bytes).to.equal(3));
    request.destroy();
    await eventually(() => expect(fixture.logLines).to.have.lengthOf(2));
    expect(fixture.logLines.map(({ level }) => level)).to.not.include('error');
  });
});

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function writeAll(
  request: ClientRequest,
  total: number,
  progress: { written: number; peak: number },
  ending = '',
): Promise<void> {
  for (; progress.written < total; progress.written += PIECE.length) {
    if (!request.write(PIECE)) await new Promise((resolve) => request.once('drain', resolve));
    progress.peak = Math.max(progress.peak, process.memoryUsage().rss);
  }
  request.end(ending);
}

/** Waits until a count stands still. */
async function settled(count: () => number): Promise<void> {
  let last = -1;
  await eventually(
    () => {
      const previous = last;
      last = count();
      expect(last).to.be.greaterThan(0).and.to.equal(previous);
    },
    { pauseMs: 500, timeoutMs: 60_000 },
  );
}
