import { once } from 'node:events';
import { expect } from 'chai';
import type { ExecStreamRequest } from '../../gen/ts/wrenn/v1/process.js';
import { eventually } from '../support/eventually.js';
import { gate } from '../support/gate.js';
import { ExecStreamScript, exited, output, silent, stdin } from './exec-stream-script.js';
import { type GatewayFixture, startGatewayFixture } from './gateway-fixture.js';
import { frame, framesIn, openRaw, openWebSocket, START } from './web-socket-client.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 32 * 1024;
const OUTPUT_BYTES = 200 * MIB;
const INPUT_BYTES = 32 * MIB;
/** What the buffers of both sockets, of HTTP/2 and of the gateway may hold of one stream. */
const IN_FLIGHT_BYTES_MAX = 16 * MIB;
const MEMORY_GROWTH_BYTES_MAX = 64 * MIB;
const PING = 9;

/** Resolves when a number has not changed for a while, with the number. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  await eventually(
    () => {
      const now = read();
      const isSame = now === last;
      last = now;
      expect(isSame).to.equal(true);
    },
    { pauseMs: 500, timeoutMs: 30_000 },
  );
  return last;
}

describe('the flow of a WebSocket', function () {
  this.timeout(120_000);
  const service = new ExecStreamScript();
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture(service.script);
  });
  after(() => fixture.close());
  afterEach(() => eventually(() => expect(service.open).to.equal(0)));

  it('stands still for a client that does not read, without filling memory, and loses nothing', async () => {
    let produced = 0;
    service.behave = async function* (requests) {
      await requests[Symbol.asyncIterator]().next();
      for (; produced < OUTPUT_BYTES; produced += PIECE_BYTES) {
        yield output(Buffer.alloc(PIECE_BYTES, produced / PIECE_BYTES), produced);
      }
      yield exited();
    };
    const { socket, closed, texts } = await openWebSocket(fixture);
    socket.removeAllListeners('message');
    const before = process.memoryUsage().rss;
    socket.pause();
    socket.send(START);
    expect(await settled(() => produced)).to.be.within(1, IN_FLIGHT_BYTES_MAX);
    expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_GROWTH_BYTES_MAX);

    let received = 0;
    let last = '';
    let peak = 0;
    socket.on('message', (bytes: Buffer) => {
      last = bytes.toString();
      const { stdout } = JSON.parse(last);
      if (!stdout) return;
      const data = Buffer.from(stdout.data, 'base64');
      if (stdout.offset !== received || data[0] !== (received / PIECE_BYTES) % 256) socket.close();
      received += data.length;
      peak = Math.max(peak, process.memoryUsage.rss());
    });
    socket.resume();
    expect(await closed).to.deep.equal({ code: 1000, reason: '' });
    expect(received).to.equal(OUTPUT_BYTES);
    expect(JSON.parse(last).exited.exit_code).to.equal(0);
    expect(peak - before).to.be.lessThan(MEMORY_GROWTH_BYTES_MAX);
    expect(texts).to.deep.equal([]);
  });

  it('holds back a client that sends more than the service reads, and keeps the order', async () => {
    const reads = gate();
    const seen: number[] = [];
    service.behave = async function* (requests: AsyncIterable<ExecStreamRequest>) {
      await reads.opened;
      for await (const { message } of requests) {
        if (message?.$case === 'stdin') seen.push(message.value.readUInt32BE(0));
      }
      yield exited();
    };
    const { socket, closed } = await openWebSocket(fixture);
    socket.send(START);
    const before = process.memoryUsage().rss;
    const count = INPUT_BYTES / PIECE_BYTES;
    let taken = 0;
    for (let index = 0; index < count; index += 1) {
      const piece = Buffer.alloc(PIECE_BYTES);
      piece.writeUInt32BE(index, 0);
      socket.send(stdin(piece), () => {
        taken += PIECE_BYTES;
      });
    }
    expect(await settled(() => taken)).to.be.within(1, IN_FLIGHT_BYTES_MAX);
    // What is not taken yet, the client itself holds.
    const own = socket.bufferedAmount;
    expect(process.memoryUsage().rss - before - own).to.be.lessThan(MEMORY_GROWTH_BYTES_MAX);
    reads.open();
    socket.send('');
    expect((await closed).code).to.equal(1000);
    expect(seen).to.deep.equal(Array.from({ length: count }, (_, index) => index));
  });

  it('ends the call of a client that vanishes while it is held back', async () => {
    service.behave = async function* (_requests, signal) {
      if (!signal.aborted) await once(signal, 'abort');
      yield exited();
    };
    const limits = { webSocketPingIntervalMs: 50, webSocketPongTimeoutMs: 10_000 };
    const pinging = await startGatewayFixture(service.script, limits);
    const { socket } = await openWebSocket(pinging);
    socket.on('error', () => undefined);
    socket.send(START);
    for (let sent = 0; sent < INPUT_BYTES; sent += PIECE_BYTES) {
      socket.send(stdin(Buffer.alloc(PIECE_BYTES)), () => undefined);
    }
    await settled(() => socket.bufferedAmount);
    socket.terminate();
    await eventually(() => expect(service.open).to.equal(0));
    await pinging.close();
  });
});

describe('the heartbeat of a WebSocket', function () {
  this.timeout(60_000);
  const service = new ExecStreamScript();
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startGatewayFixture(service.script, {
      webSocketPingIntervalMs: 50,
      webSocketPongTimeoutMs: 200,
    });
  });
  after(() => fixture.close());
  beforeEach(() => {
    service.behave = silent;
  });
  afterEach(() => eventually(() => expect(service.open).to.equal(0)));

  it('cuts a client that answers no ping, and ends its call', async () => {
    const client = await openRaw(fixture, frame(1, START));
    expect(await client.closed).to.equal(undefined);
    const frames = framesIn(client.received());
    expect(frames.filter(({ opcode }) => opcode === PING)).not.to.have.length(0);
  });

  it('leaves a client alone that answers', async () => {
    const { socket, closed } = await openWebSocket(fixture);
    let pings = 0;
    socket.on('ping', () => {
      pings += 1;
    });
    socket.send(START);
    await eventually(() => expect(pings).to.be.greaterThan(10));
    expect(socket.readyState).to.equal(socket.OPEN);
    socket.close();
    await closed;
  });

  it('leaves a client alone whose answers wait because it is held back', async () => {
    const reads = gate();
    service.behave = async function* (requests: AsyncIterable<ExecStreamRequest>) {
      await reads.opened;
      for await (const _ of requests);
      yield exited();
    };
    const { socket, closed } = await openWebSocket(fixture);
    let signs = 0;
    socket.on('pong', () => {
      signs += 1;
    });
    socket.send(START);
    for (let sent = 0; sent < INPUT_BYTES; sent += PIECE_BYTES) {
      socket.send(stdin(Buffer.alloc(PIECE_BYTES)));
    }
    await eventually(() => expect(signs).to.be.greaterThan(20));
    expect(socket.bufferedAmount).to.be.greaterThan(0);
    reads.open();
    socket.send('');
    expect((await closed).code).to.equal(1000);
  });
});

describe('the end of a gateway with WebSockets', () => {
  it('tells clients to go, ends their calls, and cuts those that stay', async () => {
    const service = new ExecStreamScript();
    service.behave = silent;
    const fixture = await startGatewayFixture(service.script, { webSocketCloseTimeoutMs: 200 });
    const polite = await openWebSocket(fixture);
    const deaf = await openRaw(fixture);
    polite.socket.send(START);
    await eventually(() => expect(service.open).to.equal(2));
    await fixture.closeGateway();
    expect(await polite.closed).to.deep.equal({ code: 1001, reason: 'SHUTTING_DOWN' });
    expect((await deaf.closed)?.code).to.equal(1001);
    await eventually(() => expect(service.open).to.equal(0));
    await fixture.close();
  });

  it('refuses a client that has not been let in yet', async () => {
    const admission = gate();
    let asked = false;
    const fixture = await startGatewayFixture({
      authenticate: async () => {
        asked = true;
        await admission.opened;
      },
    });
    const opening = openRaw(fixture);
    await eventually(() => expect(asked).to.equal(true));
    await fixture.closeGateway();
    expect((await opening).received().toString()).to.match(/^HTTP\/1.1 503 /);
    admission.open();
    await fixture.close();
  });
});
