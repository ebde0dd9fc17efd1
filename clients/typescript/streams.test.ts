import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { FileEvent, FileEventType, FileInfo } from '../../gen/ts/wrenn/v1/file.js';
import { type ExecStreamRequest, ProcessEvent } from '../../gen/ts/wrenn/v1/process.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { eventually } from '../../test/support/eventually.js';
import { Signal, WrennApiError, WrennClient } from './index.js';
import { Answers } from './streams.js';

const MIB = 1024 * 1024;

async function withClient(script: Script, use: (client: WrennClient) => Promise<void>) {
  await using server = await startApiServer(script);
  using client = new WrennClient({ address: server.address, apiKey: 'key' });
  await use(client);
}

async function failureOf(read: () => Promise<unknown>): Promise<unknown> {
  return read().then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const started = () =>
  ProcessEvent.fromPartial({ event: { $case: 'started', value: { processId: 'p1' } } });
const output = (offset: number, data: Buffer) =>
  ProcessEvent.fromPartial({ event: { $case: 'stdout', value: { offset, data } } });
const exited = (exitCode: number) =>
  ProcessEvent.fromPartial({ event: { $case: 'exited', value: { exitCode } } });

describe('streams of programs', () => {
  it('send what the caller says in order and read what the program does', async () => {
    const sent: ExecStreamRequest[] = [];
    const execStream = async function* (_: unknown, requests: AsyncIterable<ExecStreamRequest>) {
      for await (const request of requests) {
        sent.push(request);
        const { message } = request;
        if (message?.$case === 'start') yield started();
        if (message?.$case === 'stdin') yield output(0, message.value);
        if (message?.$case === 'signal') break;
      }
      yield exited(130);
    };
    await withClient({ processes: { execStream } }, async (client) => {
      using stream = client.processes.run('sb1', { cmd: 'cat', pty: { cols: 80, rows: 24 } });
      void stream.write('hello');
      void stream.resize(100, 30);
      void stream.closeStdin();
      void stream.signal(Signal.SIGNAL_INT);
      const events = await collect(stream);

      expect(events.map(({ event }) => event?.$case)).to.deep.equal([
        'started',
        'stdout',
        'exited',
      ]);
      expect(sent.map(({ message }) => message?.$case)).to.deep.equal([
        'start',
        'stdin',
        'resize',
        'closeStdin',
        'signal',
      ]);
      expect(sent.map(({ sandboxId }) => sandboxId)).to.deep.equal(['sb1', '', '', '', '']);
    });
  });

  it('cut long input into pieces that a message carries', async () => {
    const sizes: number[] = [];
    const execStream = async function* (_: unknown, requests: AsyncIterable<ExecStreamRequest>) {
      for await (const { message } of requests) {
        if (message?.$case === 'stdin') sizes.push(message.value.length);
        if (message?.$case === 'closeStdin') break;
      }
      yield exited(0);
    };
    await withClient({ processes: { execStream } }, async (client) => {
      using stream = client.processes.run('sb1', { cmd: 'cat' });
      void stream.write(Buffer.alloc(MIB)).then(() => stream.closeStdin());
      await collect(stream);
      expect(sizes.reduce((sum, size) => sum + size, 0)).to.equal(MIB);
      expect(Math.max(...sizes)).to.equal(65_536);
    });
  });

  it('go on with a program from an offset, and fail with what the server says', async () => {
    const attached: unknown[] = [];
    const attach = async function* (_: unknown, request: { offset?: number | undefined }) {
      attached.push(request.offset);
      if (request.offset === 0) {
        throw new WrennError(Code.OUT_OF_RANGE, 'OUTPUT_OUT_OF_RANGE', 'gone', {
          metadata: { first_offset: '5' },
        });
      }
      yield exited(0);
    };
    await withClient({ processes: { attach } }, async (client) => {
      await collect(client.processes.attach('sb1', 'p1'));
      const error = await failureOf(() =>
        collect(client.processes.attach('sb1', 'p1', { offset: 0 })),
      );
      expect(error).to.be.instanceOf(WrennApiError);
      expect(error).to.include({ code: status.OUT_OF_RANGE, reason: 'OUTPUT_OUT_OF_RANGE' });
      expect((error as WrennApiError).metadata).to.include({ first_offset: '5' });
      expect(attached).to.deep.equal([undefined, 0]);
    });
  });

  it('do not end as if all were well when they had failed before anybody read', async () => {
    const cancel = () => undefined;
    const call = Object.assign(new Readable({ objectMode: true, read: cancel }), { cancel });
    const answers = new Answers(call);
    call.push(null);
    call.emit('error', Object.assign(new Error('gone'), { code: status.UNAVAILABLE }));
    const error = await failureOf(() => collect(answers));
    expect(error).to.be.instanceOf(WrennApiError).with.property('code', status.UNAVAILABLE);
  });

  it('are called off on the server when the reader stops', async () => {
    let isCalledOff = false;
    const attach = async function* ({ signal }: { signal: AbortSignal }) {
      signal.addEventListener('abort', () => {
        isCalledOff = true;
      });
      for (;;) {
        yield output(0, Buffer.alloc(1024));
        await setImmediate();
      }
    };
    await withClient({ processes: { attach } }, async (client) => {
      for await (const _ of client.processes.attach('sb1', 'p1')) break;
      await eventually(async () => expect(isCalledOff).to.equal(true));
    });
  });
});

describe('streams of files', () => {
  it('carry fields first, then pieces, and return the bytes as they were', async () => {
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    const written: Buffer[] = [];
    let first: object = {};
    await withClient(
      {
        files: {
          streamWriteFile: async (_, requests) => {
            for await (const { file, ...fields } of requests) {
              if (file) written.push(file.data);
              else first = fields;
            }
            return { path: '/a', sizeBytes: Buffer.concat(written).length };
          },
          streamReadFile: async function* () {
            for (const data of written) yield HttpBody.fromPartial({ data });
          },
        },
      },
      async (client) => {
        const source = async function* () {
          yield content.subarray(0, 250_000);
          yield content.subarray(250_000);
        };
        const { sizeBytes } = await client.files.writeStream('sb1', '/a', source(), {
          mode: 0o600,
        });
        expect(sizeBytes).to.equal(content.length);
        expect(first).to.include({ sandboxId: 'sb1', path: '/a', mode: 0o600 });
        expect(Math.max(...written.map(({ length }) => length))).to.be.at.most(256 * 1024);
        const read = Buffer.concat(await collect(client.files.readStream('sb1', '/a')));
        expect(read.equals(content)).to.equal(true);
      },
    );
  });

  it('never end a file whose source fails', async () => {
    let outcome = '';
    const streamWriteFile = async (_: unknown, requests: AsyncIterable<unknown>) => {
      try {
        for await (const _ of requests) outcome = 'some';
        outcome = 'whole';
      } catch {
        outcome = 'broken';
      }
      return { path: '', sizeBytes: 0 };
    };
    await withClient({ files: { streamWriteFile } }, async (client) => {
      const source = async function* () {
        yield Buffer.from('half');
        await eventually(async () => expect(outcome).to.equal('some'));
        throw new Error('the disk is gone');
      };
      const error = await failureOf(() => client.files.writeStream('sb1', '/a', source()));
      expect(error).to.have.property('message', 'the disk is gone');
      await eventually(async () => expect(outcome).to.equal('broken'));
    });
  });

  it('stop reading their source when the server refuses', async () => {
    const streamWriteFile = async () => {
      throw new WrennError(Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL', 'full');
    };
    await withClient({ files: { streamWriteFile } }, async (client) => {
      let isEnded = false;
      const endless = async function* () {
        try {
          for (;;) yield Buffer.alloc(65_536);
        } finally {
          isEnded = true;
        }
      };
      const error = await failureOf(() => client.files.writeStream('sb1', '/a', endless()));
      expect(error).to.have.property('reason', 'GUEST_DISK_FULL');
      await eventually(async () => expect(isEnded).to.equal(true));
    });
  });

  it('list directories page by page and tell events', async () => {
    await withClient(
      {
        files: {
          listDir: async (_, { pageToken, depth }) => ({
            entries: [FileInfo.fromPartial({ path: `/${depth}${pageToken}` })],
            nextPageToken: pageToken === '' ? 'b' : '',
          }),
          watchDir: async function* () {
            yield FileEvent.fromPartial({ type: FileEventType.FILE_EVENT_TYPE_READY });
          },
        },
      },
      async (client) => {
        const entries = await collect(client.files.list('sb1', '/', { depth: 3 }));
        expect(entries.map(({ path }) => path)).to.deep.equal(['/3', '/3b']);
        const events = await collect(client.files.watch('sb1', '/'));
        expect(events).to.have.length(1);
      },
    );
  });
});
