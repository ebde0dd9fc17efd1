import { expect } from 'chai';
import type { WebSocket } from 'ws';
import type { ExecStreamRequest } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { eventually } from '../support/eventually.js';
import {
  ExecStreamScript,
  echo,
  exited,
  output,
  silent,
  stdin,
  textOf,
} from './exec-stream-script.js';
import { errorInfo, type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';
import { openWebSocket, START, STREAM_PATH } from './web-socket-client.js';

describe('a WebSocket of the gateway', () => {
  const service = new ExecStreamScript();
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture(service.script, {
      webSocketFirstMessageTimeoutMs: 1_000,
      webSocketMessageBytesMax: 65_536,
      webSocketLaterMessageBytesMax: 32_768,
    });
  });
  after(() => fixture.close());
  beforeEach(() => {
    service.cancelled = 0;
    service.behave = echo;
  });
  afterEach(() => eventually(async () => expect(service.open).to.equal(0)));

  it('carries messages both ways in order, and closes with 1000 when the call ends well', async () => {
    const { socket, messages, closed, responseHeaders } = await openWebSocket(fixture, {
      headers: { 'x-request-id': 'chosen-id' },
    });
    expect(responseHeaders['x-request-id']).to.equal('chosen-id');
    expect(socket.protocol).to.equal('wrenn.v1.json');
    expect(socket.extensions).to.equal('');
    socket.send(START);
    for (const letter of ['a', 'b', 'c']) socket.send(stdin(letter));
    socket.send('');
    expect(await closed).to.deep.equal({ code: 1000, reason: '' });
    const [started, ...outputs] = messages();
    expect(started).to.deep.equal({ started: { process_id: 'box1', pid: 1 } });
    expect(outputs.map(textOf)).to.deep.equal(['a', 'b', 'c']);
    expect(outputs.map(({ stdout }) => stdout.offset)).to.deep.equal([0, 1, 2]);
  });

  it('binds query parameters into the first message, and only there', async () => {
    let first: ExecStreamRequest | undefined;
    service.behave = async function* (requests) {
      for await (const request of requests) first ??= request;
      yield exited();
    };
    const path = `${STREAM_PATH}?start.cmd=ls&start.args=-l`;
    const { socket, closed } = await openWebSocket(fixture, { path });
    socket.send('{"start":{"close_stdin":true}}');
    socket.send(stdin('x'));
    socket.send('');
    expect((await closed).code).to.equal(1000);
    expect(first?.sandboxId).to.equal('box1');
    expect(first?.message).to.have.nested.property('value.cmd', 'ls');
    expect(first?.message).to.have.nested.property('value.args').deep.equal(['-l']);
    expect(first?.message).to.have.nested.property('value.closeStdin', true);
  });

  for (const [what, query, message] of [
    ['path', '', '{"sandbox_id":"other","start":{"cmd":"ls"}}'],
    ['query', '?start.cmd=ls', '{"start":{"cmd":"rm"}}'],
    ['query in another member of a oneof', '?signal=SIGNAL_INT', '{"start":{"cmd":"rm"}}'],
    ['query that is no field', '?cmd=ls', '{"start":{"cmd":"ls"}}'],
  ] as const) {
    it(`refuses a first message that contradicts the ${what}`, async () => {
      const { socket, messages, closed } = await openWebSocket(fixture, {
        path: STREAM_PATH + query,
      });
      socket.send(message);
      expect(await closed).to.deep.equal({ code: 4003, reason: 'INVALID_REQUEST' });
      expect(messages().at(-1).error.code).to.equal(Code.INVALID_ARGUMENT);
    });
  }

  const bad: [string, string][] = [
    ['no JSON', '{"start":'],
    ['no object', '[]'],
    ['an unknown field', '{"start":{"cmd":"ls"},"more":1}'],
    ['a key twice', '{"start":{"cmd":"ls"},"start":{"cmd":"rm"}}'],
    ['__proto__', '{"__proto__":{"cmd":"ls"}}'],
    ['a wrong type', '{"start":{"cmd":7}}'],
    ['two members of a oneof', '{"start":{"cmd":"ls"},"stdin":"YQ=="}'],
    ['too deep', '['.repeat(100)],
  ];
  for (const [what, text] of bad) {
    it(`answers a message with ${what} by an error and 4003, and ends the call`, async () => {
      const { socket, messages, closed } = await openWebSocket(fixture);
      socket.send(START);
      await eventually(async () => expect(messages()).to.have.length(1));
      socket.send(text);
      expect(await closed).to.deep.equal({ code: 4003, reason: 'INVALID_JSON' });
      const [last, ...others] = messages().slice(1);
      expect(others).to.deep.equal([]);
      expect(errorInfo({ json: last.error } as never).reason).to.equal('INVALID_JSON');
      await eventually(async () => expect(service.cancelled).to.equal(1));
    });
  }

  it('passes on what the service says of a message that breaks a rule', async () => {
    const { socket, messages, closed } = await openWebSocket(fixture);
    socket.send('{"start":{"cmd":""}}');
    expect(await closed).to.deep.equal({ code: 4003, reason: 'INVALID_REQUEST' });
    expect(errorInfo({ json: messages()[0].error } as never).reason).to.equal('INVALID_REQUEST');
  });

  it('refuses a message after the one that says that none follow', async () => {
    service.behave = silent;
    const { socket, closed } = await openWebSocket(fixture);
    for (const text of [START, '', stdin('late')]) socket.send(text);
    expect(await closed).to.deep.equal({ code: 4003, reason: 'INVALID_REQUEST' });
  });

  it('refuses a binary message with 1003', async () => {
    const { socket, texts, closed } = await openWebSocket(fixture);
    socket.send(Buffer.from(START), { binary: true });
    expect((await closed).code).to.equal(1003);
    expect(texts).to.deep.equal([]);
  });

  it('refuses a message over the limit with 1009', async () => {
    const { socket, closed } = await openWebSocket(fixture);
    socket.send(START);
    socket.send(stdin('x'.repeat(65_536)));
    expect((await closed).code).to.equal(1009);
  });

  it('takes a first message that is larger than later ones may be', async () => {
    const { socket, messages, closed } = await openWebSocket(fixture);
    socket.send(JSON.stringify({ start: { cmd: 'cat', args: ['x'.repeat(40_000)] } }));
    socket.send(stdin('x'.repeat(20_000)));
    await eventually(() => expect(messages()).to.have.length(2));
    socket.send(stdin('x'.repeat(30_000)));
    expect((await closed).code).to.equal(1009);
  });

  it('refuses a client that sends no first message in time', async () => {
    const { messages, closed } = await openWebSocket(fixture);
    expect(await closed).to.deep.equal({ code: 4004, reason: 'CANCELLED' });
    expect(messages()[0].error.code).to.equal(Code.DEADLINE_EXCEEDED);
  });

  it('ends the call when its own deadline has passed', async () => {
    service.behave = silent;
    const headers = { 'x-wrenn-timeout-ms': '300' };
    const { socket, closed } = await openWebSocket(fixture, { headers });
    socket.send(START);
    expect(await closed).to.deep.equal({ code: 4004, reason: 'CANCELLED' });
    await eventually(async () => expect(service.cancelled).to.equal(1));
  });

  for (const [error, code] of [
    [new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none'), 4005],
    [new WrennError(Code.OUT_OF_RANGE, 'OUTPUT_OUT_OF_RANGE', 'gone'), 4011],
    [new WrennError(Code.RESOURCE_EXHAUSTED, 'STREAM_LIMIT', 'many'), 4008],
    [new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', 'down'), 4014],
    [new Error('a secret detail'), 4013],
  ] as const) {
    it(`tells an error of the service behind its output, and closes with ${code}`, async () => {
      service.behave = async function* (requests) {
        for await (const _ of requests) {
          yield output(Buffer.from('before'), 0);
          throw error;
        }
      };
      const { socket, messages, texts, closed } = await openWebSocket(fixture);
      socket.send(START);
      const { reason } = error instanceof WrennError ? error : { reason: 'INTERNAL' };
      expect(await closed).to.deep.equal({ code, reason });
      expect(textOf(messages()[0])).to.equal('before');
      expect(messages()[1].error.code).to.equal(code - 4000);
      expect(errorInfo({ json: messages()[1].error } as never).reason).to.equal(reason);
      expect(texts.join()).not.to.contain('secret');
    });
  }

  for (const [how, leave] of [
    ['closes', (socket: WebSocket) => socket.close(1000)],
    ['vanishes', (socket: WebSocket) => socket.terminate()],
  ] as const) {
    it(`ends the call when the client ${how}, and says so in one line of the log`, async () => {
      service.behave = silent;
      const headers = { 'x-request-id': `client-${how}` };
      const { socket } = await openWebSocket(fixture, { headers });
      socket.send(START);
      await eventually(async () => expect(service.open).to.equal(1));
      leave(socket);
      await eventually(async () => expect(service.cancelled).to.equal(1));
      const lines = () => fixture.logLines.filter((line) => line.request_id === `client-${how}`);
      await eventually(async () => expect(lines()).to.have.length(1));
      expect(lines()[0]).to.include({
        message: 'websocket client went away',
        http_status: 101,
        close_code: how === 'closes' ? 1000 : 1006,
      });
    });
  }

  it('tells a crash of the services', async () => {
    const doomed = await startGatewayFixture(new ExecStreamScript().script);
    const { socket, messages, closed } = await openWebSocket(doomed);
    socket.send(START);
    await eventually(async () => expect(messages()).to.have.length(1));
    doomed.stopServices();
    // The services reset the stream, or the whole connection, whichever is first.
    expect((await closed).code).to.be.oneOf([4001, 4014]);
    expect(messages()).to.have.length(2);
    await doomed.close();
  });

  it('answers a plain GET with 426', async () => {
    const answer = await http(fixture, 'GET', STREAM_PATH);
    expect(answer.status).to.equal(426);
    expect(answer.headers.upgrade).to.equal('websocket');
    expect(answer.headers['sec-websocket-version']).to.equal('13');
    expect(errorInfo(answer).reason).to.equal('METHOD_NOT_ALLOWED');
  });
});
