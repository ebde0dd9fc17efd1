/** Client streams over HTTP whose body is the content: of any length, and those that break off. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { UPLOAD_PIECE_BYTES_MAX } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import type { Gate } from '../support/gate.js';
import { settled } from '../support/settled.js';
import { errorInfo, http, rawHttp } from './gateway-fixture.js';
import {
  beginUpload,
  IN_FLIGHT_BYTES_MAX,
  PIECE,
  type Seen,
  sha256,
  startUploadFixture,
  type UploadFixture,
  writeAll,
} from './gateway-upload-fixture.js';

const MIB = 1024 * 1024;
const FILE = '/v1/sandboxes/abc/files/stream/write';

describe('an upload of a raw body', () => {
  let fixture: UploadFixture;
  let seen: Seen;
  let hold: Gate;

  async function start(...options: Parameters<typeof startUploadFixture>): Promise<void> {
    fixture = await startUploadFixture(...options);
    ({ seen, hold } = fixture);
  }
  afterEach(() => fixture.close());

  function begin(path: string, headers: Record<string, string> = {}) {
    return beginUpload(fixture, path, headers);
  }

  function expectNothingWritten(): void {
    expect(seen.digests).to.deep.equal([]);
  }

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
    ['that is compressed on its way', 'path=/a', { 'transfer-encoding': 'gzip, chunked' }, 415],
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
