/** The agent's client against guests that break the contract in every way. */
import { gzipSync } from 'node:zlib';
import { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { GuestClient, type GuestLimits } from '../../agent/guest/guest-client.js';
import { StartResponse } from '../../gen/ts/wrenn/envd/v1/process.js';
import { Code, toServiceError, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { guestCommand } from '../support/guest-command.js';
import {
  type HostileAnswers,
  type HostileGuest,
  hostileGuest,
  rawHttp2Guest,
  rawTcpGuest,
  type StartCall,
} from '../support/hostile-guest.js';

const MIB = 1024 * 1024;
const LIMITS = {
  execSlackMs: 500,
  fileTimeoutMs: 1_500,
  postInitTimeoutMs: 1_500,
  streamBytesMax: 64 * MIB,
};
/** What a guest may make the agent hold, above what it held before. */
const MEMORY_MAX = 100 * MIB;
const UNREACHABLE = { code: Code.UNAVAILABLE, reason: 'GUEST_UNREACHABLE' } as const;
const WEIRD_TEXT = `\u001b[2J\r\nroot: $(reboot) \u0000 ${'x'.repeat(3_000)} ünïcode \ud83d\udca3`;

describe('GuestClient with a hostile guest', () => {
  const never = new AbortController().signal;
  const command = guestCommand('true', [], { timeoutSec: 1 });

  async function withGuest<T>(
    guest: Promise<HostileGuest>,
    use: (client: GuestClient) => Promise<T>,
    limits: Partial<GuestLimits> = LIMITS,
  ): Promise<T> {
    await using running = await guest;
    const options = { target: running.target, token: 'token-of-a-test', log: silentLog, limits };
    const client = new GuestClient(options);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  function execFailure(answers: HostileAnswers): Promise<unknown> {
    return withGuest(hostileGuest(answers), (client) => failureOf(client.exec(command, never)));
  }

  it('ends an endless output, and holds no more of it than it may', async function () {
    this.timeout(60_000);
    const data = Buffer.alloc(MIB, 'y');
    const before = process.memoryUsage().rss;

    const error = await execFailure({
      start: (call) => writeForever(call, { event: { $case: 'stdout', value: data } }),
    });

    expect(error).to.include(UNREACHABLE);
    expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_MAX);
  });

  it('ends an endless stream of empty events', async function () {
    this.timeout(60_000);
    const limits = { ...LIMITS, streamBytesMax: 100_000 };
    const guest = hostileGuest({ start: (call) => writeForever(call, { event: undefined }) });

    const error = await withGuest(
      guest,
      (client) => failureOf(client.exec(command, never)),
      limits,
    );

    expect(error).to.include(UNREACHABLE);
  });

  it('ends a program whose output drips beyond its time', async () => {
    const error = await execFailure({
      start(call) {
        call.write(started());
        const timer = setInterval(() => call.write(output('.')), 20);
        call.on('cancelled', () => clearInterval(timer));
      },
    });

    expect(error).to.include(UNREACHABLE);
  });

  it('ends a call that is never answered', async () => {
    const silent = () =>
      rawHttp2Guest((stream) => {
        stream.resume();
      });

    const failures = [
      await withGuest(silent(), (client) => failureOf(client.exec(command, never))),
      await withGuest(silent(), (client) => failureOf(client.readFile(FILE, never))),
      await withGuest(silent(), (client) => failureOf(client.postInit(IDENTITY, never))),
      await withGuest(silent(), (client) => failureOf(client.waitUntilReady(500, never))),
    ];

    for (const error of failures) expect(error).to.include(UNREACHABLE);
  });

  const sequences: [string, StartResponse[]][] = [
    ['two starts', [started(), started(), exited()]],
    ['two ends', [started(), exited(), exited()]],
    ['output after the end', [started(), exited(), output('late')]],
    ['output before the start', [output('early'), started(), exited()]],
    ['no start', [exited()]],
    ['no end', [started(), output('x')]],
    ['nothing', []],
    ['an impossible exit code', [started(), exited({ exitCode: 2 ** 31 - 1 })]],
    ['an impossible signal', [started(), exited({ signal: WEIRD_TEXT })]],
    ['an impossible duration', [started(), exited({ durationMs: Number.NaN })]],
  ];
  for (const [what, events] of sequences) {
    it(`refuses ${what}`, async () => {
      const error = await execFailure({
        start(call) {
          for (const event of events) call.write(event);
          call.end();
        },
      });

      expect(error).to.include(UNREACHABLE);
    });
  }

  it('refuses a message above its limit', async () => {
    const content = Buffer.alloc(32 * MIB);
    const guest = () => hostileGuest({ readFile: () => ({ content }) });

    const error = await withGuest(guest(), (client) => failureOf(client.readFile(FILE, never)));

    expect(error).to.include(UNREACHABLE);
  });

  it('refuses a file that is larger than it asked for', async () => {
    const guest = hostileGuest({ readFile: () => ({ content: Buffer.alloc(11) }) });

    const error = await withGuest(guest, (client) => failureOf(client.readFile(FILE, never)));

    expect(error).to.include(UNREACHABLE);
  });

  it('believes its own count of the bytes that it wrote', async () => {
    const file = { path: '/f', content: Buffer.alloc(5), user: '', mode: 0 };

    const written = await withGuest(hostileGuest({}), (client) => client.writeFile(file, never));

    expect(written).to.deep.equal({ sizeBytes: 5 });
  });

  const frames: [string, Buffer, Record<string, string>][] = [
    ['a huge announced length', frame(0, 0xffff_ffff, Buffer.alloc(100)), {}],
    ['a message that is no message', frame(0, 4, Buffer.from([0xff, 0xff, 0xff, 0xff])), {}],
    [
      'a length beyond the message',
      frame(0, 6, Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x0f])),
      {},
    ],
    ['an unknown compression', frame(1, 4, Buffer.alloc(4)), { 'grpc-encoding': 'nonsense' }],
    ['a broken compression', frame(1, 4, Buffer.alloc(4)), { 'grpc-encoding': 'gzip' }],
    ['a small message that unpacks to a large one', bomb(), { 'grpc-encoding': 'gzip' }],
  ];
  for (const [what, bytes, headers] of frames) {
    it(`refuses ${what}`, async () => {
      const before = process.memoryUsage().rss;
      const guest = rawHttp2Guest((stream) => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto', ...headers });
        stream.write(bytes);
      });

      const error = await withGuest(guest, (client) => failureOf(client.exec(command, never)));

      expect(error).to.include(UNREACHABLE);
      expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_MAX);
    });
  }

  const servers: [string, () => Promise<HostileGuest>][] = [
    ['closes every connection', () => rawTcpGuest((socket) => socket.destroy())],
    ['says nothing', () => rawTcpGuest((socket) => socket.resume())],
    ['talks nonsense', () => rawTcpGuest((socket) => socket.write(Buffer.alloc(MIB, 'nonsense ')))],
    [
      'answers as a web server',
      () => rawTcpGuest((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')),
    ],
    [
      'answers with an HTTP error',
      () =>
        rawHttp2Guest((stream) => {
          stream.respond({ ':status': 500, 'content-type': 'text/html' });
          stream.end('<html>');
        }),
    ],
  ];
  for (const [what, server] of servers) {
    it(`gives up a guest that ${what}`, async () => {
      const ready = await withGuest(server(), (client) =>
        failureOf(client.waitUntilReady(400, never)),
      );
      const exec = await withGuest(server(), (client) => failureOf(client.exec(command, never)));

      expect(ready).to.include(UNREACHABLE);
      expect(exec).to.include(UNREACHABLE);
    });
  }

  it('notices that the guest dies during a call', async () => {
    const error = await execFailure({
      start(call) {
        call.write(started());
        setTimeout(() => call.emit('error', { code: Code.UNAVAILABLE, details: 'x' }), 50);
      },
    });

    expect(error).to.include(UNREACHABLE);
  });

  describe("forwards nothing of the guest's own words", () => {
    const codes = Object.values(Code).filter(
      (code) => typeof code === 'number' && code !== Code.OK && code !== Code.UNIMPLEMENTED,
    );
    for (const code of codes as Code[]) {
      it(`with code ${Code[code]}`, async () => {
        const failure = { code, details: WEIRD_TEXT };

        const error = await execFailure({ failure });

        expect(error).to.include(UNREACHABLE);
        expectOwnWords(error);
      });
    }

    it('with a call that it does not know', async () => {
      const failure = { code: Code.UNIMPLEMENTED, details: WEIRD_TEXT };

      const error = await execFailure({ failure });

      expect(error).to.include({ code: Code.FAILED_PRECONDITION, reason: 'GUEST_TOO_OLD' });
      expectOwnWords(error);
    });

    it('with a code that there is not', async () => {
      const error = await execFailure({ failure: { code: 4242, details: WEIRD_TEXT } });

      expect(error).to.include(UNREACHABLE);
      expectOwnWords(error);
    });

    for (const [reason, expected] of [
      ['FILE_NOT_FOUND', { code: Code.NOT_FOUND, reason: 'FILE_NOT_FOUND' }],
      ['COMMAND_NOT_STARTED', { code: Code.FAILED_PRECONDITION, reason: 'COMMAND_NOT_STARTED' }],
      ['GUEST_DISK_FULL', { code: Code.RESOURCE_EXHAUSTED, reason: 'GUEST_DISK_FULL' }],
      ['GUEST_UNREACHABLE', UNREACHABLE],
      ['COMMAND_TIMEOUT', UNREACHABLE],
      ['SANDBOX_NOT_FOUND', UNREACHABLE],
      ['CREDENTIAL_EXPIRED', UNREACHABLE],
      ['INTERNAL', UNREACHABLE],
    ] as const) {
      it(`with reason ${reason}`, async () => {
        const metadata = { failure: WEIRD_TEXT.slice(0, 100), secret: 'of the guest' };
        const options = { metadata, violations: [violation()], retryAfterSec: 1_000_000 };
        const lie = new WrennError(Code.DATA_LOSS, reason, WEIRD_TEXT, options);

        const error = await execFailure({
          failure: toServiceError(lie) as { code: number; details: string },
        });

        expect(error).to.include(expected);
        expectOwnWords(error);
      });
    }

    it('with details that are nonsense', async () => {
      const metadata = new Metadata();
      metadata.set('grpc-status-details-bin', Buffer.alloc(1_000, 0xff));

      const error = await execFailure({ failure: { code: 5, details: 'x', metadata } });

      expect(error).to.include(UNREACHABLE);
    });

    it('with a step that failed', async () => {
      const steps = [
        { name: 'token', durationMs: 1, error: '' },
        { name: WEIRD_TEXT, durationMs: 1, error: WEIRD_TEXT },
      ];

      const error = await withGuest(hostileGuest({ postInit: () => ({ steps }) }), (client) =>
        failureOf(client.postInit(IDENTITY, never)),
      );

      expect(error).to.include(UNREACHABLE);
      expectOwnWords(error);
    });
  });

  it('names the step that failed', async () => {
    const steps = [{ name: 'hostname', durationMs: 1, error: 'read-only' }];

    const error = await withGuest(hostileGuest({ postInit: () => ({ steps }) }), (client) =>
      failureOf(client.postInit(IDENTITY, never)),
    );

    expect(error).to.include(UNREACHABLE);
    expect((error as WrennError).metadata.step).to.equal('hostname');
  });
});

const FILE = { path: '/file', sizeBytesMax: 10 };
const IDENTITY = { sandboxId: 'sandboxoftest', templateId: 'minimal', env: {} };

/** Message and metadata are ours; underneath, for the log, stands only short printable text. */
function expectOwnWords(thrown: unknown): void {
  const error = thrown as WrennError;
  const visible = JSON.stringify([error.message, error.metadata, error.violations]);
  expect(visible).not.to.match(/reboot|ünï|xxx|of the guest|\\u00/);
  expect(error.retryAfterSec).to.equal(undefined);
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    expect(cause.message).to.match(/^[\x20-\x7e]{0,300}$/);
  }
}

function started(): StartResponse {
  return { event: { $case: 'started', value: { pid: 1 } } };
}

function output(text: string): StartResponse {
  return { event: { $case: 'stdout', value: Buffer.from(text) } };
}

function exited(fields = {}): StartResponse {
  const value = { exitCode: 0, signal: '', timedOut: false, durationMs: 1, ...fields };
  return { event: { $case: 'exited', value } };
}

function violation() {
  return { field: 'reboot', description: 'reboot', rule: 'reboot' };
}

/** Writes as fast as the client takes it. */
async function writeForever(call: StartCall, event: StartResponse): Promise<void> {
  let open = true;
  call.on('cancelled', () => {
    open = false;
  });
  call.write(started());
  while (open) {
    if (!call.write(event)) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function frame(flag: number, length: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, body]);
}

function bomb(): Buffer {
  const message = StartResponse.encode(output('\0'.repeat(256 * MIB))).finish();
  const packed = gzipSync(message, { level: 9 });
  return frame(1, packed.length, packed);
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the call succeeded');
}
