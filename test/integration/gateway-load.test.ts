/** Clients that leave, wait, crowd or dawdle. */
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type GatewayLimits, RESPONSE_MESSAGE_BYTES_MAX } from '../../src/gateway/limits.js';
import { eventually } from '../support/eventually.js';
import {
  errorInfo,
  type GatewayFixture,
  http,
  rawHttp,
  startGatewayFixture,
} from './gateway-fixture.js';

/** More than the kernel buffers for a client that hardly reads. */
const FILE_BYTES = RESPONSE_MESSAGE_BYTES_MAX - 1024;
const SLOW_READER_PAUSE_MS = 20;
const EMPTY_PAGE = { sandboxes: [], nextPageToken: '' };

/** A method that waits until a test lets it go. */
class Gate {
  entered = 0;
  aborted = 0;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }

  async pass(signal: AbortSignal): Promise<void> {
    this.entered += 1;
    signal.addEventListener('abort', () => {
      this.aborted += 1;
    });
    await this.#opened;
  }
}

describe('a client that goes away', () => {
  let fixture: GatewayFixture;
  let gate: Gate;

  beforeEach(async () => {
    gate = new Gate();
    fixture = await startGatewayFixture({
      sandboxes: {
        listSandboxes: async (context) => {
          await gate.pass(context.signal);
          return EMPTY_PAGE;
        },
      },
    });
  });
  afterEach(async () => {
    gate.open();
    await fixture.close();
  });

  it('cancels its call', async () => {
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write('GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => expect(gate.entered).to.equal(1));
    expect(gate.aborted).to.equal(0);
    socket.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
  });

  it('cancels its call, however it leaves', async () => {
    const request = httpRequest({ port: fixture.port, path: '/v1/sandboxes', agent: false });
    request.on('error', () => undefined);
    request.end();
    await eventually(() => expect(gate.entered).to.equal(1));
    request.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
    await eventually(() => {
      const left = fixture.logLines.filter(({ message }) => message === 'http client went away');
      expect(left).to.have.lengthOf(1);
    });
  });

  it('in the middle of its body calls nothing', async () => {
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write(
      'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
        'content-length: 100\r\n\r\n{"vcpus":',
    );
    await new Promise((resolve) => socket.write(' ', resolve));
    socket.destroy();
    await eventually(() => {
      expect(fixture.logLines.map(({ message }) => message)).to.include('http client went away');
    });
    expect(gate.entered).to.equal(0);
  });

  it('does not cancel the call of its neighbour', async () => {
    const neighbour = http(fixture, 'GET', '/v1/sandboxes');
    const socket = connect(fixture.port, '127.0.0.1');
    socket.write('GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n');
    await eventually(() => expect(gate.entered).to.equal(2));
    socket.destroy();
    await eventually(() => expect(gate.aborted).to.equal(1));
    gate.open();
    expect((await neighbour).status).to.equal(200);
  });
});

describe('the gateway under load', () => {
  const limits = {
    requestsMax: 2,
    connectionsMax: 4,
    bufferedBodyBytesMax: 64 * 1024,
    headersTimeoutMs: 500,
    requestTimeoutMs: 1000,
    connectionCheckIntervalMs: 100,
    closeTimeoutMs: 60_000,
  };
  let fixture: GatewayFixture;
  let gate: Gate;

  beforeEach(async () => {
    gate = new Gate();
    fixture = await startGatewayFixture(
      {
        streamsMax: 1,
        sandboxes: {
          listSandboxes: async (context) => {
            await gate.pass(context.signal);
            return EMPTY_PAGE;
          },
          getSandbox: async () => {
            throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
          },
        },
        processes: {
          exec: async (context) => {
            await gate.pass(context.signal);
            throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'end');
          },
        },
      },
      limits,
    );
  });
  afterEach(async () => {
    gate.open();
    await fixture.close();
  });

  it('refuses requests over its limit, and takes them again', async () => {
    const body = { cmd: 'sleep' };
    const waiting = [
      http(fixture, 'GET', '/v1/sandboxes'),
      http(fixture, 'POST', '/v1/sandboxes/abc/exec', { body }),
    ];
    await eventually(() => expect(gate.entered).to.equal(2));
    const refused = await http(fixture, 'GET', '/v1/sandboxes/abc');
    expect(refused.status).to.equal(429);
    expect(refused.headers['retry-after']).to.equal('1');
    expect(errorInfo(refused).reason).to.equal('OVERLOADED');
    gate.open();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses).to.deep.equal([200, 409]);
    expect((await http(fixture, 'GET', '/v1/sandboxes/abc')).status).to.equal(404);
  });

  it('answers short calls while long ones hold their connection', async () => {
    const exec = http(fixture, 'POST', '/v1/sandboxes/abc/exec', { body: { cmd: 'sleep' } });
    await eventually(() => expect(gate.entered).to.equal(1));
    expect((await http(fixture, 'GET', '/v1/sandboxes/abc')).status).to.equal(404);
    gate.open();
    expect((await exec).status).to.equal(409);
  });

  it('counts pipelined requests, too', async () => {
    const socket = open(fixture, 'GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(50));
    await eventually(() => {
      const refusals = fixture.logLines.filter((line) => line.error_reason === 'OVERLOADED');
      expect(refusals.length).to.be.at.least(1);
    });
    expect(gate.entered).to.be.at.most(2);
    socket.destroy();
  });

  it('refuses bodies over what it may hold, and takes them again', async () => {
    const body = { template: 'a'.repeat(100 * 1024) };
    const refused = await http(fixture, 'POST', '/v1/sandboxes', { body });
    expect(errorInfo(refused).reason).to.equal('OVERLOADED');
    const small = { template: 'NOT-A-NAME' };
    for (let turn = 0; turn < 5; turn += 1) {
      const answer = await http(fixture, 'POST', '/v1/sandboxes', { body: small });
      expect(errorInfo(answer).reason).to.equal('INVALID_REQUEST');
    }
  });

  it('closes connections over its limit', async () => {
    const sockets = Array.from({ length: limits.connectionsMax }, () => open(fixture, 'GET '));
    await Promise.all(sockets.map((socket) => new Promise((done) => socket.once('connect', done))));
    expect(await rawHttp(fixture, 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')).to.equal('');
    for (const socket of sockets) socket.destroy();
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
    });
  });

  it('ends a request whose headers or body do not arrive', async () => {
    const headers = await rawHttp(fixture, 'GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n');
    expect(headers).to.match(/^HTTP\/1\.1 408 /);
    const body = await rawHttp(
      fixture,
      'POST /v1/sandboxes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
        'content-length: 100\r\n\r\n{',
    );
    expect(body)
      .to.match(/^HTTP\/1\.1 408 /)
      .and.contain('"INVALID_REQUEST"');
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
    });
  });

  it('ends while requests are in flight: those get their answer, new ones none', async () => {
    const agent = new Agent({ keepAlive: true });
    const waiting = http(fixture, 'GET', '/v1/sandboxes', { agent });
    await eventually(() => expect(gate.entered).to.equal(1));
    const closed = fixture.closeGateway();
    await eventually(async () => {
      const refused = await http(fixture, 'GET', '/healthz').catch((error: Error) => error);
      expect(refused).to.be.instanceOf(Error);
    });
    gate.open();
    expect((await waiting).status).to.equal(200);
    await closed;
    agent.destroy();
  });
});

describe('an answer that its client does not take', () => {
  const read = { path: '/v1/sandboxes/abc/files/read', body: '{"path":"/a"}' };
  let fixture: GatewayFixture;
  let gate: Gate;

  async function start(limits: Partial<GatewayLimits>): Promise<void> {
    gate = new Gate();
    fixture = await startGatewayFixture(
      {
        sandboxes: {
          listSandboxes: async (context) => {
            await gate.pass(context.signal);
            return EMPTY_PAGE;
          },
          getSandbox: async () => {
            throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
          },
        },
        files: {
          readFile: async () => ({
            contentType: 'text/plain',
            data: Buffer.alloc(FILE_BYTES),
            extensions: [],
          }),
        },
      },
      limits,
    );
  }
  afterEach(async () => {
    gate.open();
    await fixture.close();
  });

  it('is cut off after a while', async () => {
    await start({ answerTimeoutMs: 500 });
    // One answer may fit what the kernel holds for a connection; two do not.
    const socket = open(fixture, readRequest().repeat(2));
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      socket.pause();
      setTimeout(() => socket.resume(), SLOW_READER_PAUSE_MS);
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(received).to.be.lessThan(2 * FILE_BYTES);
  });

  it('counts as a request until its connection ends', async () => {
    await start({ requestsMax: 2 });
    const socket = await holdBack('GET /v1/sandboxes/abc HTTP/1.1\r\nhost: a\r\n\r\n');
    const refused = await http(fixture, 'GET', '/v1/sandboxes/abc');
    expect([refused.status, errorInfo(refused).reason]).to.deep.equal([429, 'OVERLOADED']);
    socket.destroy();
    await eventually(async () => {
      expect((await http(fixture, 'GET', '/v1/sandboxes/abc')).status).to.equal(404);
    });
  });

  it('counts with its bytes until its connection ends', async () => {
    await start({ bufferedBodyBytesMax: 1.5 * FILE_BYTES });
    const socket = await holdBack(readRequest());
    const refused = await readFile();
    expect([refused.status, errorInfo(refused).reason]).to.deep.equal([429, 'OVERLOADED']);
    expect((await http(fixture, 'GET', '/v1/sandboxes/abc')).status).to.equal(404);
    socket.destroy();
    await eventually(async () => expect((await readFile()).status).to.equal(200));
    expect((await readFile()).status).to.equal(200);
  });

  /** Makes an answer that cannot leave, since the one before it on its connection waits for the gate. */
  async function holdBack(request: string): Promise<Socket> {
    const socket = open(fixture, `GET /v1/sandboxes HTTP/1.1\r\nhost: a\r\n\r\n${request}`);
    await eventually(() => {
      const answered = fixture.logLines.filter(
        ({ message }) => message === 'http request finished',
      );
      expect([gate.entered, answered.length]).to.deep.equal([1, 1]);
    });
    return socket;
  }

  function readRequest(): string {
    return (
      `POST ${read.path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n` +
      `content-length: ${read.body.length}\r\n\r\n${read.body}`
    );
  }

  function readFile() {
    return http(fixture, 'POST', read.path, {
      body: read.body,
      headers: { 'content-type': 'application/json' },
    });
  }
});

describe('the gateway with a request that does not end', () => {
  it('ends nevertheless, and cancels the call', async () => {
    const gate = new Gate();
    const fixture = await startGatewayFixture(
      {
        sandboxes: {
          listSandboxes: async (context) => {
            await gate.pass(context.signal);
            return EMPTY_PAGE;
          },
        },
      },
      { closeTimeoutMs: 100 },
    );
    try {
      const waiting = http(fixture, 'GET', '/v1/sandboxes').catch((error: Error) => error);
      await eventually(() => expect(gate.entered).to.equal(1));
      await fixture.closeGateway();
      expect(await waiting).to.be.instanceOf(Error);
      await eventually(() => expect(gate.aborted).to.equal(1));
    } finally {
      gate.open();
      await fixture.close();
    }
  });
});

/** Opens a connection and writes to it. */
function open({ port }: GatewayFixture, text: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(text);
  return socket;
}
