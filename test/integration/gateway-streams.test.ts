/** Server streams over HTTP: how they look, how fast they flow, and how they end. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'chai';
import { type AttachRequest, ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { GatewayLimits } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import { type Gate, gate } from '../support/gate.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

const OUTPUT = '/v1/sandboxes/abc/processes/p1/output';

type Attach = (
  context: CallContext<undefined>,
  request: AttachRequest,
) => AsyncGenerator<ProcessEvent>;

function stdout(text: string): ProcessEvent {
  const value = { offset: 0, data: Buffer.from(text) };
  return ProcessEvent.fromPartial({ event: { $case: 'stdout', value } });
}

function notFound(): WrennError {
  return new WrennError(Code.NOT_FOUND, 'PROCESS_NOT_FOUND', 'no such process');
}

describe('a server stream', () => {
  let fixture: GatewayFixture;
  let hold: Gate;

  async function start(
    script: { attach?: Attach },
    limits: Partial<GatewayLimits> = {},
  ): Promise<void> {
    hold = gate();
    fixture = await startGatewayFixture(
      {
        ...(script.attach ? { processes: { attach: script.attach } } : {}),
        sandboxes: { listSandboxes: async () => ({ sandboxes: [], nextPageToken: '' }) },
      },
      limits,
    );
  }
  afterEach(async () => {
    hold.open();
    await fixture.close();
  });

  /** Two events, the second one when the gate opens, and then perhaps an error. */
  function twoEvents(error?: WrennError): Attach {
    return async function* () {
      yield stdout('a');
      await hold.opened;
      if (error) throw error;
      yield stdout('b');
    };
  }

  describe('of messages', () => {
    it('is a line of JSON for each', async () => {
      await start({ attach: twoEvents() });
      hold.open();
      const { status, headers, body } = await http(fixture, 'GET', OUTPUT);
      expect(status).to.equal(200);
      expect(headers).to.include({
        'content-type': 'application/x-ndjson',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      expect(headers).to.have.property('x-request-id');
      expect(headers).to.not.have.any.keys('content-length', 'content-encoding');
      expect(linesOf(body)).to.deep.equal([
        { result: { stdout: { offset: 0, data: 'YQ==' } } },
        { result: { stdout: { offset: 0, data: 'Yg==' } } },
      ]);
    });

    it('is an event for each where the caller accepts those', async () => {
      await start({ attach: twoEvents() });
      hold.open();
      const accept = 'text/html;q=0.5, Text/Event-Stream; q=0.9';
      const { headers, body } = await http(fixture, 'GET', OUTPUT, { headers: { accept } });
      expect(headers['content-type']).to.equal('text/event-stream');
      expect(body.toString()).to.equal(
        'event: message\ndata: {"stdout":{"offset":0,"data":"YQ=="}}\n\n' +
          'event: message\ndata: {"stdout":{"offset":0,"data":"Yg=="}}\n\n',
      );
      const refusal = { accept: 'text/event-stream;q=0' };
      const lines = await http(fixture, 'GET', OUTPUT, { headers: refusal });
      expect(lines.headers['content-type']).to.equal('application/x-ndjson');
    });

    it('takes its request from path and query, and keeps what is absent apart', async () => {
      const requests: AttachRequest[] = [];
      await start({
        attach: async function* (_context, request) {
          requests.push(request);
          yield stdout('a');
        },
      });
      await http(fixture, 'GET', OUTPUT);
      await http(fixture, 'GET', `${OUTPUT}?offset=0`);
      expect(requests.map(({ offset }) => offset)).to.deep.equal([undefined, 0]);
      expect((await http(fixture, 'GET', `${OUTPUT}?nothing=1`)).status).to.equal(400);
      expect(requests).to.have.lengthOf(2);
    });

    it('delivers a message before the next one is there', async () => {
      await start({ attach: twoEvents() });
      const response = await open(OUTPUT);
      expect(await nextText(response)).to.contain('YQ==');
      hold.open();
      expect(await nextText(response)).to.contain('Yg==');
    });

    it('that fails before its first message is answered like any other call', async () => {
      await start({
        // biome-ignore lint/correctness/useYield: it ends before its first message
        attach: async function* () {
          throw notFound();
        },
      });
      const answer = await http(fixture, 'GET', OUTPUT);
      expect([answer.status, errorInfo(answer).reason]).to.deep.equal([404, 'PROCESS_NOT_FOUND']);
    });

    for (const [accept, expected] of [
      ['*/*', /^\{"error":\{"code":5,.*"PROCESS_NOT_FOUND".*\}\}\n$/],
      ['text/event-stream', /^event: error\ndata: \{"code":5,.*"PROCESS_NOT_FOUND".*\}\n\n$/],
    ] as const) {
      it(`that fails later says so at its end, to a caller of ${accept}`, async () => {
        await start({ attach: twoEvents(notFound()) });
        const response = await open(OUTPUT, { accept });
        await nextText(response);
        hold.open();
        expect(await restOf(response)).to.match(expected);
        expect(response.complete).to.equal(true);
        const failures = fixture.logLines.filter(({ level }) => level === 'error');
        expect(failures).to.deep.equal([]);
      });
    }

    it('ends when the caller has waited as long as it wanted', async () => {
      await start({ attach: twoEvents() });
      const headers = { 'x-wrenn-timeout-ms': '300' };
      const { status, body } = await http(fixture, 'GET', OUTPUT, { headers });
      expect(status).to.equal(200);
      const lines = linesOf(body);
      expect(lines).to.have.lengthOf(2);
      expect(lines[1]).to.have.nested.property('error.code', Code.DEADLINE_EXCEEDED);
    });

    it('lasts beyond the time for an answer', async () => {
      const limits = { answerTimeoutMs: 100, requestTimeoutMs: 100, streamQuietMs: 60 };
      await start({ attach: twoEvents() }, limits);
      const response = await open(OUTPUT, { accept: 'text/event-stream' });
      let received = '';
      response.on('data', (chunk: Buffer) => {
        received += chunk.toString();
      });
      await eventually(() => expect(received.match(/: keep-alive/g)).to.have.length.of.at.least(5));
      hold.open();
      await eventually(() => expect(response.complete).to.equal(true));
      expect(received).to.contain('Yg==');
    });

    it('that is quiet begins, and says that it lives', async () => {
      await start(
        {
          attach: async function* () {
            await hold.opened;
            yield stdout('b');
          },
        },
        { streamQuietMs: 50 },
      );
      const response = await open(OUTPUT, { accept: 'text/event-stream' });
      expect(response.statusCode).to.equal(200);
      expect(await nextText(response)).to.match(/^: keep-alive\n\n/);
      hold.open();
      expect(await restOf(response)).to.match(/event: message\n/);
    });

    it('takes no HEAD, and a body only where its route has one', async () => {
      await start({ attach: twoEvents() });
      const head = await http(fixture, 'HEAD', OUTPUT);
      expect([head.status, head.headers.allow]).to.deep.equal([405, 'GET, OPTIONS']);
      const body = await http(fixture, 'GET', OUTPUT, { body: '{}' });
      expect([body.status, errorInfo(body).reason]).to.deep.equal([400, 'INVALID_REQUEST']);
    });

    it('does not count as a request while it flows, and only so many flow', async () => {
      await start({ attach: twoEvents() }, { requestsMax: 1, streamsMax: 1 });
      const first = await open(OUTPUT);
      await nextText(first);
      expect((await http(fixture, 'GET', '/v1/sandboxes')).status).to.equal(200);
      const second = await http(fixture, 'GET', OUTPUT);
      expect([second.status, errorInfo(second).reason]).to.deep.equal([429, 'OVERLOADED']);
      first.destroy();
      await eventually(async () => {
        const third = await open(OUTPUT);
        third.destroy();
        expect(third.statusCode).to.equal(200);
      });
    });
  });

  it('is cancelled when its client goes away', async () => {
    let signal: AbortSignal | undefined;
    await start({
      attach: async function* (context) {
        signal = context.signal;
        yield stdout('a');
        await hold.opened;
      },
    });
    const response = await open(OUTPUT);
    await nextText(response);
    expect(signal?.aborted).to.equal(false);
    response.on('error', () => undefined);
    response.destroy();
    await eventually(() => expect(signal?.aborted).to.equal(true));
    await eventually(() => {
      expect(fixture.logLines.map(({ message }) => message)).to.include('http client went away');
    });
  });

  it('is cancelled when its client goes away before the first message', async () => {
    let signal: AbortSignal | undefined;
    await start({
      attach: async function* (context) {
        signal = context.signal;
        await hold.opened;
        yield stdout('a');
      },
    });
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write(`GET ${OUTPUT} HTTP/1.1\r\nhost: a\r\n\r\n`);
    await eventually(() => expect(signal?.aborted).to.equal(false));
    socket.destroy();
    await eventually(() => expect(signal?.aborted).to.equal(true));
  });

  it('that waits behind another one is cancelled when their client goes away', async () => {
    let flowing = 0;
    await start({
      attach: async function* ({ signal }) {
        flowing += 1;
        try {
          // More than a connection takes, so that the answers that wait are full.
          for (;;) {
            signal.throwIfAborted();
            yield stdout('a'.repeat(16 * 1024));
          }
        } finally {
          flowing -= 1;
        }
      },
    });
    const socket = connect(fixture.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET ${OUTPUT} HTTP/1.1\r\nhost: a\r\n\r\n`.repeat(3));
    await eventually(() => expect(flowing).to.equal(3));
    socket.destroy();
    await eventually(() => expect(flowing).to.equal(0));
  });

  it('of a connection lets the next request follow', async () => {
    await start({ attach: twoEvents() });
    hold.open();
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n`;
    const answers = await rawHttp(
      fixture,
      `${request(OUTPUT)}\r\n${request('/v1/sandboxes')}connection: close\r\n\r\n`,
    );
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).to.have.lengthOf(2);
  });

  it('in both directions is for WebSockets', async () => {
    await start({});
    const answer = await http(fixture, 'GET', '/v1/sandboxes/abc/exec/stream');
    expect([answer.status, answer.headers.upgrade]).to.deep.equal([426, 'websocket']);
    expect(errorInfo(answer).reason).to.equal('METHOD_NOT_ALLOWED');
  });

  function open(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ port: fixture.port, path, headers, agent: false }, resolve);
      request.on('error', reject);
      request.end();
    });
  }
});

function linesOf(body: Buffer): unknown[] {
  const lines = body.toString().split('\n');
  expect(lines.pop()).to.equal('');
  return lines.map((line) => JSON.parse(line));
}

function nextText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    response.once('error', reject);
    response.once('data', (chunk: Buffer) => {
      response.pause();
      resolve(chunk.toString());
    });
    response.resume();
  });
}

async function restOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
