/** Forms whose file goes to a client stream: in order, out of order, and those that break off. */
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import type { Gate } from '../support/gate.js';
import { settled } from '../support/settled.js';
import { http } from './gateway-fixture.js';
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
const FORM = '/v1/sandboxes/abc/files/write';
const PART = '--b\r\ncontent-disposition: form-data; name=';
const FORM_HEADERS = { 'content-type': 'multipart/form-data; boundary=b' };

describe('an upload of a form', () => {
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
