/** Clients of the public gRPC server who begin requests and do not end them. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { PassThrough } from 'node:stream';
import { ServerCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { ApiKeyServiceService } from '../../gen/ts/wrenn/v1/api_key.js';
import { AuthServiceService, LogInRequest } from '../../gen/ts/wrenn/v1/auth.js';
import { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import { ProcessSpec } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { type Handlers, serve } from '../../lib/rpc/service.js';
import { readAuthPolicy } from '../../src/auth/policy.js';
import type { Principal } from '../../src/auth/principal.js';
import { createPublicServer } from '../../src/grpc-server.js';
import {
  ANONYMOUS_MESSAGE_BYTES_MAX,
  ReceiveGuard,
  type ReceiveGuardOptions,
} from '../../src/receive-guard.js';
import type { ReceiveLimits } from '../../src/receive-slots.js';
import { plainSandbox, useControlPlane } from '../support/control-plane.js';
import { eventually } from '../support/eventually.js';
import { rejectionOf } from '../support/rejection.js';

const WRITE_FILE = FileServiceService.writeFile.path;
const STREAM_WRITE_FILE = FileServiceService.streamWriteFile.path;
const LOG_IN = AuthServiceService.logIn.path;
const FILE_BYTES = 3 * 1024 * 1024;
const INPUT_BYTES = 64 * 1024;
const HEADER_BYTES = 5;
const ROOMY: ReceiveLimits = {
  slotsMax: 8,
  slotsPerCallerMax: 8,
  pendingMax: 8,
  pendingPerCallerMax: 8,
};

/** A call whose request a test sends bit by bit. */
class OpenCall {
  readonly stream: ClientHttp2Stream;
  /** The code with which it ended. */
  status: Code | undefined;
  /** Whether the server has let the caller in. */
  isAdmitted = false;

  constructor(session: ClientHttp2Session, path: string, metadata: Record<string, string> = {}) {
    this.stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    });
    this.stream.on('error', () => undefined);
    const note = (headers: Record<string, unknown>) => {
      const code = headers['grpc-status'];
      if (code !== undefined) this.status = Number(code);
    };
    this.stream.on('response', (headers) => {
      this.isAdmitted = headers['grpc-status'] === undefined;
      note(headers);
    });
    this.stream.on('trailers', note);
    this.stream.resume();
  }

  /** Sends what announces a message, and some of its bytes. */
  begin(announced: number, sent: Buffer): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(announced, 1);
    this.stream.write(Buffer.concat([header, sent]));
  }

  async ended(): Promise<Code> {
    await eventually(() => expect(this.status).to.not.equal(undefined));
    return this.status as Code;
  }
}

describe('a request that is not there yet', () => {
  let session: ClientHttp2Session;
  let close: () => void;
  let handled: string[];
  let authenticated: string[];
  /** Whether a handler ends a stream before its first message. */
  let isImpatient: boolean;

  async function start(options: Partial<ReceiveGuardOptions> = {}): Promise<void> {
    handled = [];
    authenticated = [];
    isImpatient = false;
    const guard = new ReceiveGuard({
      policy: readAuthPolicy([AuthServiceService, ApiKeyServiceService, FileServiceService]),
      authenticate: async (path, metadata) => {
        authenticated.push(path);
        if (path === LOG_IN) return { kind: 'anybody' };
        const [teamId] = metadata.get('x-api-key').map(String);
        if (teamId) return { kind: 'team', teamId, apiKeyId: 'key' };
        throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', 'none');
      },
      ...options,
    });
    const server = createPublicServer(guard.interceptor);
    const { authenticate } = guard;
    const note = (path: string) => async (): Promise<never> => {
      handled.push(path);
      throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'end');
    };
    const streamWriteFile = async (_context: unknown, requests: AsyncIterable<unknown>) => {
      handled.push(STREAM_WRITE_FILE);
      if (isImpatient) throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'end');
      for await (const _request of requests);
      throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'end');
    };
    const files = { writeFile: note(WRITE_FILE), readFile: note(''), streamWriteFile };
    const auth = { logIn: note(LOG_IN), signUp: note(''), getMe: note('') };
    const common = { log: silentLog, authenticate };
    serve(
      server,
      FileServiceService,
      files as unknown as Handlers<typeof FileServiceService, Principal>,
      common,
    );
    serve(
      server,
      AuthServiceService,
      auth as Handlers<typeof AuthServiceService, Principal>,
      common,
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    session = connect(`http://127.0.0.1:${port}`);
    close = () => {
      session.destroy();
      server.forceShutdown();
    };
  }
  afterEach(() => close());

  it('is refused before its end when nobody is known to send it', async () => {
    await start();
    const call = new OpenCall(session, WRITE_FILE);
    call.begin(FILE_BYTES, Buffer.alloc(FILE_BYTES / 2));
    expect(await call.ended()).to.equal(Code.UNAUTHENTICATED);
    expect(handled).to.deep.equal([]);
  });

  it('is handled once it is there, and its credential is looked at once', async () => {
    await start();
    const call = open('one');
    call.stream.end();
    expect(await call.ended()).to.equal(Code.ABORTED);
    expect([handled, authenticated]).to.deep.equal([[WRITE_FILE], [WRITE_FILE]]);
  });

  it('may be small only, when it needs no credential', async () => {
    await start();
    const large = new OpenCall(session, LOG_IN);
    large.begin(ANONYMOUS_MESSAGE_BYTES_MAX + 1, Buffer.alloc(0));
    expect(await large.ended()).to.equal(Code.RESOURCE_EXHAUSTED);
    expect(handled).to.deep.equal([]);

    const login = LogInRequest.encode({ email: 'a@example.com', password: 'x' }).finish();
    const small = new OpenCall(session, LOG_IN);
    small.begin(login.length, Buffer.from(login));
    small.stream.end();
    expect(await small.ended()).to.equal(Code.ABORTED);
  });

  for (const [what, bytes] of Object.entries({ nothing: -1, half: 1, 'all but its end': 0 })) {
    it(`is given up after a while when ${what} of it has come`, async () => {
      await start({ receiveTimeoutMs: 100 });
      const call = new OpenCall(session, WRITE_FILE, { 'x-api-key': 'one' });
      if (bytes >= 0) call.begin(bytes, Buffer.alloc(0));
      expect(await call.ended()).to.equal(Code.DEADLINE_EXCEEDED);
      expect(handled).to.deep.equal([]);
    });
  }

  it('waits when its caller has too many, and other callers do not', async () => {
    await start({ knownCallerLimits: { ...ROOMY, slotsPerCallerMax: 1 } });
    const first = open('one');
    const second = open('one');
    second.stream.end();
    const other = open('other');
    other.stream.end();
    expect(await other.ended()).to.equal(Code.ABORTED);
    expect([handled.length, second.status]).to.deep.equal([1, undefined]);
    first.stream.close();
    expect(await second.ended()).to.equal(Code.ABORTED);
  });

  it('is refused at once when too many wait already, and taken again later', async () => {
    await start({ knownCallerLimits: { ...ROOMY, pendingPerCallerMax: 2 } });
    const calls = [open('one'), open('one')];
    await eventually(() => expect(authenticated).to.have.length(2));
    expect(await open('one').ended()).to.equal(Code.RESOURCE_EXHAUSTED);
    for (const { stream } of calls) stream.close();
    await eventually(async () => {
      const call = open('one');
      call.stream.end();
      expect(await call.ended()).to.equal(Code.ABORTED);
    });
  });

  it('of a stream waits when its caller opens many that say nothing', async () => {
    await start({ openingStreamLimits: { ...ROOMY, slotsPerCallerMax: 2 } });
    const silent = [openStream('one'), openStream('one')];
    await eventually(() => expect(handled).to.have.length(2));
    const third = openStream('one');
    const other = openStream('other');
    await eventually(() => expect(handled).to.have.length(3));
    expect([authenticated.length, third.status]).to.deep.equal([4, undefined]);
    // With its first message a stream has arrived, and need not end.
    silent[0]?.begin(0, Buffer.alloc(0));
    await eventually(() => expect(handled).to.have.length(4));
    other.stream.close();
  });

  it('of a stream is taken again when one that said nothing has ended', async () => {
    await start({ openingStreamLimits: { ...ROOMY, slotsPerCallerMax: 1 } });
    for (const end of ['close', 'end'] as const) {
      const first = openStream('one');
      await eventually(() => expect(first.isAdmitted).to.equal(true));
      const second = openStream('one');
      first.stream[end]();
      await eventually(() => expect(second.isAdmitted).to.equal(true));
      second.stream.close();
    }
  });

  it('of a stream no longer waits when its handler has given it up', async () => {
    await start({ openingStreamLimits: { ...ROOMY, slotsPerCallerMax: 1 } });
    isImpatient = true;
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      expect(await openStream('one').ended()).to.equal(Code.ABORTED);
    }
  });

  /** Begins a call of a team with an empty message. */
  function open(team: string): OpenCall {
    const call = new OpenCall(session, WRITE_FILE, { 'x-api-key': team });
    call.begin(0, Buffer.alloc(0));
    return call;
  }

  /** Begins a stream of a team without a message. */
  function openStream(team: string): OpenCall {
    return new OpenCall(session, STREAM_WRITE_FILE, { 'x-api-key': team });
  }
});

describe('the public server', () => {
  const test = useControlPlane();

  it('holds nothing of callers without a credential who send and send', async () => {
    const session = connect(`http://${test.controlPlane.grpcAddress}`);
    try {
      const calls = Array.from({ length: 20 }, () => new OpenCall(session, WRITE_FILE));
      for (const call of calls) call.begin(FILE_BYTES, Buffer.alloc(FILE_BYTES / 20));
      for (const call of calls) expect(await call.ended()).to.equal(Code.UNAUTHENTICATED);
    } finally {
      session.destroy();
    }
  });

  it('takes the input of a conversation in pieces of 64 KiB and no larger messages', async () => {
    const { asTeam } = await test.signUp();
    const { sandboxId } = await test.clients.sandboxes.createSandbox(plainSandbox(), asTeam);
    const input = new PassThrough({ objectMode: true });
    const type = (bytes: number) =>
      input.write({ sandboxId: '', message: { $case: 'stdin', value: Buffer.alloc(bytes) } });
    const events = test.clients.processes.execStream(input, asTeam)[Symbol.asyncIterator]();
    input.write({
      sandboxId,
      message: { $case: 'start', value: ProcessSpec.fromPartial({ cmd: 'cat' }) },
    });
    await events.next();
    type(INPUT_BYTES);
    const { value } = await events.next();
    expect(value?.event).to.have.nested.property('value.data.length', INPUT_BYTES);
    type(2 * INPUT_BYTES);
    expect((await rejectionOf(events.next())).code).to.equal(Code.RESOURCE_EXHAUSTED);
  });
});
