/** Streams through `serve` and `createClient`, over a real socket. */
import { join } from 'node:path';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { ExecStreamRequest, ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { createClient, type RpcClient } from '../../lib/rpc/client.js';
import { type Handlers, serve } from '../../lib/rpc/service.js';
import { createRequestCheck } from '../../lib/rpc/validation.js';
import { eventually } from '../support/eventually.js';
import { rejectionOf } from '../support/rejection.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

type Client = RpcClient<typeof HostAgentServiceService>;
type AllHandlers = Handlers<typeof HostAgentServiceService, undefined>;

const WAIT = { timeoutMs: 20_000 };

describe('streams of gRPC calls', () => {
  const closers: (() => void)[] = [];

  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  async function connect(handlers: Partial<AllHandlers>, authenticate = () => undefined) {
    const server = new Server();
    serve(server, HostAgentServiceService, handlers as AllHandlers, {
      log: silentLog,
      authenticate,
      validate: createRequestCheck(),
    });
    const directory = await temporaryDirectory();
    closers.push(() => void directory.remove());
    const target = `unix:${join(directory.path, 'socket')}`;
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(target, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    const client = createClient(HostAgentServiceService, target, credentials.createInsecure());
    closers.push(() => {
      client.close();
      server.forceShutdown();
    });
    return client;
  }

  it('carries messages both ways until both ends are done', async () => {
    const client = await connect({ execStream: (_context, requests) => echo(requests) });

    const answers = await collect(client.execStream(inputs(['a', 'b', 'c']), WAIT));

    expect(answers).to.deep.equal(['a', 'b', 'c']);
  });

  it('collects a stream of requests into one answer', async () => {
    const client = await connect({
      streamWriteFile: async (_context, requests) => {
        let sizeBytes = 0;
        for await (const { file } of requests) sizeBytes += file?.data.length ?? 0;
        return { path: '/f', sizeBytes };
      },
    });

    const answer = await client.streamWriteFile(pieces(100, 1000), WAIT);

    expect(answer).to.deep.equal({ path: '/f', sizeBytes: 100_000 });
  });

  it('takes an empty message among the requests for no end', async () => {
    const client = await connect({
      streamWriteFile: async (_context, requests) => {
        let sizeBytes = 0;
        for await (const { file } of requests) sizeBytes += file?.data.length ?? 0;
        return { path: '/f', sizeBytes };
      },
    });
    async function* requests() {
      yield* pieces(1, 10);
      yield { sandboxId: '', path: '', user: '', mode: 0, file: undefined };
      yield* pieces(1, 10);
    }

    expect(await client.streamWriteFile(requests(), WAIT)).to.include({ sizeBytes: 20 });
  });

  it('refuses a caller before it reads a message', async () => {
    const client = await connect({ execStream: (_context, requests) => echo(requests) }, () => {
      throw new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_INVALID', 'no');
    });

    const error = await rejectionOf(collect(client.execStream(inputs(['a']), WAIT)));

    expect(error).to.include({ code: Code.UNAUTHENTICATED, reason: 'CREDENTIAL_INVALID' });
  });

  it('checks every message of a stream', async () => {
    const client = await connect({ execStream: (_context, requests) => echo(requests) });
    async function* requests() {
      yield* inputs(['fine']);
      yield { sandboxId: 'NOT AN ID', message: undefined };
    }

    const error = await rejectionOf(collect(client.execStream(requests(), WAIT)));

    expect(error).to.include({ code: Code.INVALID_ARGUMENT, reason: 'INVALID_REQUEST' });
  });

  it('ends the answers with what the requests throw', async () => {
    const client = await connect({ execStream: (_context, requests) => echo(requests) });
    async function* requests(): AsyncGenerator<ExecStreamRequest> {
      yield* inputs(['a']);
      throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'the source broke');
    }

    const error = await rejectionOf(collect(client.execStream(requests(), WAIT)));

    expect(error).to.include({ reason: 'SANDBOX_CONFLICT' });
  });

  it('lets a handler answer before the requests have ended', async () => {
    const client = await connect({
      streamWriteFile: async () => {
        throw new WrennError(Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL', 'full');
      },
    });

    const error = await rejectionOf(client.streamWriteFile(pieces(Infinity, 1000), WAIT));

    expect(error).to.include({ reason: 'GUEST_DISK_FULL' });
  });

  it('tells the handler of a caller who goes away', async () => {
    let thrown: unknown;
    const client = await connect({
      execStream: async function* (_context, requests) {
        try {
          yield* echo(requests);
        } catch (error) {
          thrown = error;
          throw error;
        }
      },
    });
    const abort = new AbortController();
    const answers = client.execStream(unending(), { ...WAIT, signal: abort.signal });

    for await (const _ of answers) break;

    await eventually(() => expect(thrown).to.include({ reason: 'CANCELLED' }));
  });

  it('does not take a file that its sender calls off for a whole one', async () => {
    const ends: string[] = [];
    let received = 0;
    const client = await connect({
      streamWriteFile: async (_context, requests) => {
        received = 0;
        try {
          for await (const _ of requests) received += 1;
          ends.push('whole');
        } catch (error) {
          ends.push(WrennError.from(error).reason);
          throw error;
        }
        return { path: '/f', sizeBytes: 0 };
      },
    });

    for (let round = 1; round <= 20; round += 1) {
      const abort = new AbortController();
      async function* requests() {
        yield* pieces(round, 30_000);
        await eventually(() => expect(received).to.equal(round));
        abort.abort(new Error('called off'));
        await new Promise(() => undefined);
      }
      await rejectionOf(client.streamWriteFile(requests(), { ...WAIT, signal: abort.signal }));
    }

    await eventually(() => expect(ends).to.deep.equal(Array(20).fill('CANCELLED')));
  });

  it('keeps a stream open while thousands of others are called off', async () => {
    const client = await connect({
      watchChanges: async function* ({ signal }) {
        yield {};
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const first = client.watchChanges({}, WAIT)[Symbol.asyncIterator]();
    await first.next();
    let outcome = 'open';
    first.next().then(
      () => (outcome = 'ended'),
      () => (outcome = 'broken'),
    );

    for (let round = 0; round < 2500; round += 1) {
      for await (const _ of client.watchChanges({}, WAIT)) break;
    }

    expect(outcome).to.equal('open');
  }).timeout(60_000);

  it('stops the sender while the receiver does not read', async () => {
    let sent = 0;
    const client = await connect({
      execStream: async function* () {
        for (;;) {
          sent += 1;
          yield output(Buffer.alloc(32_768));
        }
      },
    });
    const answers = client.execStream(inputs([]), WAIT)[Symbol.asyncIterator]();

    await answers.next();
    let before = -1;
    await eventually(() => {
      const now = sent;
      const isStill = now === before;
      before = now;
      expect(isStill).to.equal(true);
    });

    expect(sent).to.be.lessThan(100);
    await answers.return?.();
  });
});

async function* echo(requests: AsyncIterable<ExecStreamRequest>): AsyncGenerator<ProcessEvent> {
  for await (const { message } of requests) {
    if (message?.$case === 'stdin') yield output(message.value);
  }
}

function output(data: Buffer): ProcessEvent {
  return { event: { $case: 'stdout', value: { offset: 0, data } } };
}

async function* inputs(texts: string[]): AsyncGenerator<ExecStreamRequest> {
  for (const text of texts) {
    yield { sandboxId: '', message: { $case: 'stdin', value: Buffer.from(text) } };
  }
}

async function* unending(): AsyncGenerator<ExecStreamRequest> {
  yield* inputs(['a']);
  await new Promise(() => undefined);
}

async function* pieces(count: number, sizeBytes: number) {
  for (let index = 0; index < count; index += 1) {
    yield {
      sandboxId: 'abcdefgh',
      path: '/f',
      user: '',
      mode: 0,
      file: { contentType: '', data: Buffer.alloc(sizeBytes), extensions: [] },
    };
  }
}

async function collect(answers: ReturnType<Client['execStream']>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { event } of answers) {
    if (event?.$case === 'stdout') texts.push(event.value.data.toString());
  }
  return texts;
}
