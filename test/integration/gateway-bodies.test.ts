import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { StreamWriteFileRequest } from '../../gen/ts/wrenn/v1/file.js';
import type { SendInputRequest } from '../../gen/ts/wrenn/v1/process.js';
import type { CreateSandboxRequest } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Sandbox } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { DEFAULT_LIMITS } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import {
  errorInfo,
  type GatewayFixture,
  type HttpAnswer,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

const MIB = 1024 * 1024;
const WRITE = '/v1/sandboxes/abc/files/write';
const INPUT = '/v1/sandboxes/abc/processes/abc/input';

/** The fields of a file and the content that came with them, in one message or in many. */
interface WrittenFile extends Omit<StreamWriteFileRequest, 'file'> {
  file: Buffer;
}

/** Reads an upload to its end, as the service does. */
async function readUpload(requests: AsyncIterable<StreamWriteFileRequest>): Promise<WrittenFile> {
  const pieces: Buffer[] = [];
  let first: StreamWriteFileRequest | undefined;
  for await (const request of requests) {
    first ??= request;
    pieces.push(request.file?.data ?? Buffer.alloc(0));
  }
  if (!first?.path) throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'no path');
  return { ...first, file: Buffer.concat(pieces) };
}

describe('a request body', () => {
  let fixture: GatewayFixture;
  let created: CreateSandboxRequest | undefined;
  let written: WrittenFile | undefined;
  let input: SendInputRequest | undefined;

  before(async () => {
    fixture = await startGatewayFixture({
      sandboxes: {
        createSandbox: async (_context, request) => {
          created = request;
          return Sandbox.create();
        },
        deleteSandbox: async () => ({}),
        listSandboxes: async () => ({ sandboxes: [], nextPageToken: '' }),
      },
      files: {
        writeFile: async (_context, request) => {
          written = request;
          return { path: request.path, sizeBytes: request.file.length };
        },
        streamWriteFile: async (_context, requests) => {
          written = await readUpload(requests);
          return { path: written.path, sizeBytes: written.file.length };
        },
      },
      processes: {
        sendInput: async (_context, request) => {
          input = request;
          return {};
        },
      },
    });
  });
  after(() => fixture.close());
  beforeEach(() => {
    created = undefined;
    written = undefined;
    input = undefined;
  });

  async function create(body: unknown, headers = {}): Promise<HttpAnswer> {
    return http(fixture, 'POST', '/v1/sandboxes', { body, headers });
  }

  function expectRefused(answer: HttpAnswer, status: number, reason: string): void {
    expect([answer.status, errorInfo(answer)?.reason]).to.deep.equal([status, reason]);
    expect(created).to.equal(undefined);
    expect(written).to.equal(undefined);
    expect(input).to.equal(undefined);
  }

  describe('of JSON', () => {
    const malformed: [string, string | Buffer][] = [
      ['that is cut', '{"template":'],
      ['that holds an unknown field', '{"nothing":1}'],
      ['of a wrong type', '{"vcpus":"two"}'],
      ['that is a list', '[]'],
      ['that holds __proto__', '{"__proto__":{"template":"minimal"}}'],
      ['that holds a key twice', '{"template":"a","template":"b"}'],
      ['that is too deep', `{"env":${'['.repeat(100_000)}`],
      ['that is not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
      ['with a number that is none', '{"memory_mb":1e400}'],
      ['with a lone surrogate', '{"template":"\\ud800"}'],
    ];
    for (const [what, body] of malformed) {
      it(`${what} is refused`, async () => {
        expectRefused(await create(body), 400, 'INVALID_JSON');
      });
    }

    it('names the field at fault', async () => {
      const answer = await create({ env: { A: 1 } });
      const violations = answer.json.details[1].field_violations;
      expect(violations[0].field).to.equal('env');
    });

    it('may be any JSON type, in UTF-8', async () => {
      for (const type of [
        'application/json',
        'Application/JSON; charset=UTF-8',
        'application/merge-patch+json',
      ]) {
        const answer = await create('{"vcpus":2}', { 'content-type': type });
        expect(answer.status, type).to.equal(200);
      }
    });

    it('of another type is refused', async () => {
      for (const type of [
        '',
        'text/plain',
        'application/x-www-form-urlencoded',
        'application/jsonp',
        'application/json; charset=utf-16',
        'application/json, text/plain',
      ]) {
        const answer = await create('{}', { 'content-type': type });
        expectRefused(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
      }
    });

    it('that is compressed is refused unread', async () => {
      const bomb = gzipSync(Buffer.alloc(8 * MIB));
      for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, identity']) {
        const answer = await create(bomb, { 'content-encoding': encoding });
        expectRefused(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
      }
      expect((await create('{}', { 'content-encoding': 'identity' })).status).to.equal(200);
    });

    it('that says it is too large is refused before it comes', async () => {
      const answer = await rawHttp(
        fixture,
        'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
          `content-length: ${DEFAULT_LIMITS.jsonBodyBytesMax + 1}\r\nexpect: 100-continue\r\n\r\n`,
      );
      expect(answer)
        .to.match(/^HTTP\/1\.1 413 /)
        .and.contain('"BODY_TOO_LARGE"');
      expect(answer).to.not.contain('100 Continue');
    });

    it('is invited when the client waits for that', async () => {
      const answer = await http(fixture, 'POST', '/v1/sandboxes', {
        body: '{"vcpus":3}',
        headers: { expect: '100-continue' },
      });
      expect(answer.status).to.equal(200);
      expect(created?.vcpus).to.equal(3);
    });

    it('that grows too large is refused, and the client sees the answer', async () => {
      const body = `{"template":"${'a'.repeat(DEFAULT_LIMITS.jsonBodyBytesMax)}"}`;
      expectRefused(await create(body), 413, 'BODY_TOO_LARGE');
      const chunked = await create(body, { 'transfer-encoding': 'chunked' });
      expectRefused(chunked, 413, 'BODY_TOO_LARGE');
      expect(chunked.headers.connection).to.equal('close');
    });

    it('without end is cut off', async () => {
      const chunk = `10000\r\n${' '.repeat(65536)}\r\n`;
      const answer = await rawHttp(
        fixture,
        'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
          `transfer-encoding: chunked\r\n\r\n${chunk.repeat(40)}`,
      );
      expect(answer).to.match(/^HTTP\/1\.1 413 /);
    }).timeout(20_000);

    it('may be larger where the message holds bytes', async () => {
      const file = randomBytes(3 * MIB);
      const body = { path: '/a', file: file.toString('base64') };
      const answer = await http(fixture, 'POST', WRITE, { body });
      expect(answer.status).to.equal(200);
      expect(written?.file.equals(file)).to.equal(true);
    });

    it('on a route without one is refused', async () => {
      const get = await http(fixture, 'GET', '/v1/sandboxes', { body: '{}' });
      expectRefused(get, 400, 'INVALID_REQUEST');
      const remove = await http(fixture, 'DELETE', '/v1/sandboxes/abc', { body: '{}' });
      expectRefused(remove, 400, 'INVALID_REQUEST');
      const empty = await http(fixture, 'DELETE', '/v1/sandboxes/abc', {
        headers: { 'content-length': 0, 'content-type': 'application/json' },
      });
      expect(empty.status).to.equal(200);
    });
  });

  describe('of a form', () => {
    async function upload(form: FormData, path = WRITE): Promise<HttpAnswer> {
      const encoded = new Response(form);
      const headers = { 'content-type': encoded.headers.get('content-type') ?? '' };
      const body = Buffer.from(await encoded.arrayBuffer());
      return http(fixture, 'POST', path, { body, headers });
    }

    function form(fields: Record<string, string | Blob>): FormData {
      const result = new FormData();
      for (const [name, value] of Object.entries(fields)) result.append(name, value);
      return result;
    }

    async function send(parts: string, boundary = 'b'): Promise<HttpAnswer> {
      const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
      return http(fixture, 'POST', WRITE, { body: parts, headers });
    }

    it('carries a file of 3 MiB byte for byte', async () => {
      const file = randomBytes(3 * MIB);
      const answer = await upload(
        form({ path: '/tmp/a b', user: 'bob', mode: '384', file: new Blob([file]) }),
      );
      expect(answer.json).to.deep.equal({ path: '/tmp/a b', size_bytes: 3 * MIB });
      expect(written).to.deep.include({
        sandboxId: 'abc',
        path: '/tmp/a b',
        user: 'bob',
        mode: 384,
      });
      expect(written?.file.equals(file)).to.equal(true);
    });

    it('carries bytes that look like its own boundary, and none at all', async () => {
      const file = Buffer.from('\r\n--b\r\n--b-\r\n\r\n--');
      await upload(form({ path: '/a', file: new Blob([file]) }));
      expect(written?.file.equals(file)).to.equal(true);
      await upload(form({ path: '/a', file: new Blob([]) }));
      expect(written?.file).to.have.lengthOf(0);
    });

    it('takes a file without a file name and text with one', async () => {
      const answer = await send(
        '--b\r\ncontent-disposition: form-data; name="path"; filename="x"\r\n\r\n/\u00e9\r\n' +
          '--b\r\ncontent-disposition: form-data; name="file"\r\n\r\nabc\r\n--b--\r\n',
      );
      expect(answer.status).to.equal(200);
      expect(written?.path).to.equal('/\u00e9');
      expect(written?.file.toString()).to.equal('abc');
    });

    const part = (name: string, text: string) =>
      `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
    const end = '--b--\r\n';
    const path = part('path', '/a');
    const refused: [string, string][] = [
      ['with an unknown field', part('path', '/a') + part('nothing', 'x') + end],
      ['with a field twice', part('path', '/a') + part('path', '/b') + end],
      ['with a file twice', path + part('file', 'a') + part('file', 'b') + end],
      ['with a field behind the file', path + part('file', 'a') + part('mode', '1') + end],
      ['whose file comes before its path', part('file', 'a') + path + end],
      ['whose file has no end', path + part('file', 'a')],
      ['that is cut behind its file', `${path + part('file', 'a')}--b\r\ncontent-`],
      ['with a wrong type', part('mode', 'rw-') + end],
      ['with a hexadecimal mode', part('mode', '0x1ff') + end],
      ['with another sandbox', part('sandbox_id', 'other') + part('path', '/a') + end],
      ['with __proto__', part('__proto__', 'x') + end],
      ['without its end', part('path', '/a')],
      ['that is cut in a header', '--b\r\ncontent-disp'],
      ['without any part', 'hello'],
      ['with a part that has no name', `--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n${end}`],
      [
        'with a part in base64',
        '--b\r\ncontent-disposition: form-data; name="file"\r\n' +
          `content-transfer-encoding: base64\r\n\r\nAAAA\r\n${end}`,
      ],
      ['with too many parts', part('path', '/a').repeat(100) + end],
      ['with headers without end', `--b\r\n${'x: y\r\n'.repeat(10_000)}\r\n${end}`],
    ];
    for (const [what, parts] of refused) {
      it(`${what} is refused`, async () => {
        expectRefused(await send(parts), 400, 'INVALID_REQUEST');
      });
    }

    it('that holds text that is not UTF-8 is refused', async () => {
      const answer = await upload(form({ path: new Blob([Buffer.from([0x2f, 0xff])]) }));
      expectRefused(answer, 400, 'INVALID_REQUEST');
    });

    it('without a boundary is refused', async () => {
      const headers = { 'content-type': 'multipart/form-data' };
      const answer = await http(fixture, 'POST', WRITE, { body: 'x', headers });
      expectRefused(answer, 400, 'INVALID_REQUEST');
    });

    it('goes to a method that takes the message at once, too', async () => {
      const data = randomBytes(MIB);
      const encoded = form({ input: new Blob([data]) });
      expect((await upload(encoded, INPUT)).status).to.equal(200);
      expect(input?.input.equals(data)).to.equal(true);
      const twice = form({ input: new Blob(['a']) });
      twice.append('input', new Blob(['b']));
      input = undefined;
      expectRefused(await upload(twice, INPUT), 400, 'INVALID_REQUEST');
    });

    it('that is too large for one message is refused, and the client sees the answer', async () => {
      const answer = await upload(form({ input: new Blob([Buffer.alloc(8 * MIB)]) }), INPUT);
      expectRefused(answer, 413, 'BODY_TOO_LARGE');
    });

    it('whose fields are too large is refused before its file', async () => {
      const answer = await send(part('path', `/${'a'.repeat(70_000)}`) + part('file', 'a') + end);
      expectRefused(answer, 413, 'BODY_TOO_LARGE');
    });

    it('carries a file that is larger than any message', async () => {
      const file = randomBytes(12 * MIB);
      const answer = await upload(form({ path: '/a', file: new Blob([file]) }));
      expect(answer.json).to.deep.equal({ path: '/a', size_bytes: file.length });
      expect(written?.file.equals(file)).to.equal(true);
    });

    it('on a route without a body is refused', async () => {
      const headers = { 'content-type': 'multipart/form-data; boundary=b' };
      const body = part('page_size', '1') + end;
      const answer = await http(fixture, 'GET', '/v1/sandboxes', { body, headers });
      expectRefused(answer, 400, 'INVALID_REQUEST');
    });
  });

  it('leaves nothing behind: the next request is answered', async () => {
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/v1/sandboxes')).status).to.equal(200);
    });
    const faults = fixture.logLines.filter(({ level }) => level === 'error');
    expect(faults).to.deep.equal([]);
  });
});
