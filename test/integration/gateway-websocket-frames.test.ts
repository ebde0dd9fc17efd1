import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { ExecStreamScript, stdin, textOf } from './exec-stream-script.js';
import { type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';
import { frame, framesIn, openRaw, type RawWebSocket, START } from './web-socket-client.js';

const CONTINUATION = 0;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const SEED_COUNT = 50;

describe('the frames of a WebSocket', () => {
  const service = new ExecStreamScript();
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture(service.script, {
      webSocketMessageBytesMax: 65_536,
      webSocketCloseTimeoutMs: 500,
    });
  });
  after(() => fixture.close());
  afterEach(async () => {
    await eventually(() => expect(service.open).to.equal(0));
    expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
  });

  function textsOf({ received }: RawWebSocket): ReturnType<typeof JSON.parse>[] {
    const texts = framesIn(received()).filter(({ opcode }) => opcode === TEXT);
    return texts.map(({ payload }) => JSON.parse(payload.toString()));
  }

  it('are read when they come in one packet with the opening request', async () => {
    const whole = [START, stdin('early'), ''].map((text) => frame(TEXT, text));
    const client = await openRaw(fixture, Buffer.concat(whole));
    await eventually(() => expect(framesIn(client.received()).at(-1)?.opcode).to.equal(CLOSE));
    expect(textsOf(client).slice(1).map(textOf)).to.deep.equal(['early']);
    client.socket.end(frame(CLOSE, Buffer.from([0x03, 0xe8])));
    expect(await client.closed).to.deep.equal({ code: 1000, reason: '' });
  });

  it('are read byte by byte', async () => {
    const client = await openRaw(fixture);
    client.socket.setNoDelay();
    const bytes = Buffer.concat([START, stdin('slow'), ''].map((text) => frame(TEXT, text)));
    for (const byte of bytes) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(framesIn(client.received()).at(-1)?.opcode).to.equal(CLOSE));
    expect(textsOf(client).slice(1).map(textOf)).to.deep.equal(['slow']);
    client.socket.destroy();
  });

  it('of one message may be several, with a ping between them', async () => {
    const text = Buffer.from(stdin('pieces'));
    const client = await openRaw(fixture, frame(TEXT, START));
    client.socket.write(
      Buffer.concat([
        frame(TEXT, text.subarray(0, 3), { isFinal: false }),
        frame(PING, 'here?'),
        frame(CONTINUATION, text.subarray(3, 9), { isFinal: false }),
        frame(CONTINUATION, text.subarray(9)),
      ]),
    );
    await eventually(() => expect(textsOf(client)).to.have.length(2));
    expect(textOf(textsOf(client)[1])).to.equal('pieces');
    const pongs = framesIn(client.received()).filter(({ opcode }) => opcode === PONG);
    expect(pongs.map(({ payload }) => payload.toString())).to.deep.equal(['here?']);
    client.socket.destroy();
  });

  const huge = 2n ** 62n;
  for (const [what, bytes, code] of [
    ['a frame without a mask', frame(TEXT, START, { isMasked: false }), 1002],
    ['the first reserved bit', frame(TEXT, START, { reserved: 0x40 }), 1002],
    ['the second reserved bit', frame(TEXT, START, { reserved: 0x20 }), 1002],
    ['the third reserved bit', frame(TEXT, START, { reserved: 0x10 }), 1002],
    ['a reserved kind of data', frame(3, START), 1002],
    ['a reserved kind of control', frame(0xb, ''), 1002],
    ['a ping in pieces', frame(PING, '', { isFinal: false }), 1002],
    ['a ping that is too long', frame(PING, 'x'.repeat(126)), 1002],
    ['a piece of nothing', frame(CONTINUATION, START), 1002],
    [
      'a message inside another',
      Buffer.concat([frame(TEXT, 'a', { isFinal: false }), frame(TEXT, 'b')]),
      1002,
    ],
    ['a close code that nobody may send', frame(CLOSE, Buffer.from([0x03, 0xed])), 1002],
    ['half a close code', frame(CLOSE, Buffer.from([0x03])), 1002],
    ['text that is no UTF-8', frame(TEXT, Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1007],
    ['a length over the limit', frame(TEXT, '', { length: 65_537n }), 1009],
    ['a length that no memory holds', frame(TEXT, '', { length: huge }), 1009],
    ['a length of all bits', frame(TEXT, '', { length: 2n ** 64n - 1n }), 1009],
    [
      'pieces that are too long together',
      Buffer.concat([
        frame(TEXT, 'x'.repeat(40_000), { isFinal: false }),
        frame(CONTINUATION, 'x'.repeat(40_000)),
      ]),
      1009,
    ],
    [
      'too many pieces',
      Buffer.concat([
        frame(TEXT, 'x', { isFinal: false }),
        ...Array<Buffer>(1_100).fill(frame(CONTINUATION, 'x', { isFinal: false })),
      ]),
      1008,
    ],
  ] as const) {
    it(`with ${what} are refused by ${code}, and the call ends`, async () => {
      const client = await openRaw(fixture, bytes);
      expect((await client.closed)?.code).to.equal(code);
    });
  }

  it('of a client that pings without reading do not pile up', async () => {
    const client = await openRaw(fixture);
    client.socket.pause();
    const pings = Buffer.concat(Array<Buffer>(10_000).fill(frame(PING, 'x'.repeat(125))));
    const flood = setInterval(() => {
      if (client.socket.writableLength < pings.length) client.socket.write(pings);
    }, 1);
    await eventually(() => expect(service.open).to.equal(0), { timeoutMs: 15_000 });
    clearInterval(flood);
    client.socket.destroy();
  });

  it('of random bytes end the WebSocket and nothing else', async () => {
    await Promise.all(
      Array.from({ length: SEED_COUNT }, async () => {
        const client = await openRaw(fixture, randomBytes(4_096));
        client.socket.end();
        await client.closed;
      }),
    );
  });
});
