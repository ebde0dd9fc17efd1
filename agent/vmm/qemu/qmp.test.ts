import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import {
  QMP_BYTES_PER_SECOND_MAX,
  QMP_COMMANDS_MAX,
  QMP_LINE_BYTES_MAX,
  QmpClient,
  QmpError,
  type QmpEvent,
} from './qmp.js';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

interface Request {
  execute: string;
  arguments: unknown;
  id: number;
}

type Answer = (request: Request, socket: Socket) => void;

/** What a VMM answers that does everything. */
const agree: Answer = ({ id }, socket) => socket.write(`${JSON.stringify({ return: {}, id })}\r\n`);

describe('QMP client', () => {
  let directory: TemporaryDirectory;
  let server: Server;
  let sockets: Socket[];
  let events: QmpEvent[];

  beforeEach(async () => {
    directory = await temporaryDirectory();
    sockets = [];
    events = [];
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await directory.remove();
  });

  /** Serves the negotiation, and everything after it by `answer`. */
  async function serve(answer: Answer, greeting = GREETING): Promise<string> {
    const path = join(directory.path, 'qmp.sock');
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write(greeting);
      socket.on('data', (chunk) => {
        for (const line of chunk.toString().trim().split('\n')) {
          const request = JSON.parse(line) as Request;
          (request.execute === 'qmp_capabilities' ? agree : answer)(request, socket);
        }
      });
    });
    server.listen(path);
    await once(server, 'listening');
    return path;
  }

  function connect(path: string, timeoutMs = 5000, signal?: AbortSignal): Promise<QmpClient> {
    return QmpClient.connect(path, { onEvent: (event) => events.push(event), timeoutMs, signal });
  }

  it('negotiates, sends commands and gets their answers', async () => {
    const requests: Request[] = [];
    const client = await connect(
      await serve((request, socket) => {
        requests.push(request);
        socket.write(`${JSON.stringify({ return: { status: 'running' }, id: request.id })}\n`);
      }),
    );

    const answer = await client.execute('query-status', { some: 'argument' });

    expect(answer).to.deep.equal({ status: 'running' });
    expect(requests).to.have.length(1);
    expect(requests[0]).to.include({ execute: 'query-status' });
    expect(requests[0]?.arguments).to.deep.equal({ some: 'argument' });
    client.close();
  });

  it('tells answers apart that come in another order, and passes events on', async () => {
    const waiting: Request[] = [];
    const client = await connect(
      await serve((request, socket) => {
        waiting.push(request);
        if (waiting.length < 3) return;
        socket.write('{"event": "STOP", "data": {"reason": "x"}, "timestamp": {}}\n');
        socket.write('{"event": "RESUME"}\n');
        for (const { id, execute } of waiting.reverse()) {
          socket.write(`${JSON.stringify({ return: execute, id })}\n`);
        }
      }),
    );

    const answers = await Promise.all(['a', 'b', 'c'].map((name) => client.execute(name)));

    expect(answers).to.deep.equal(['a', 'b', 'c']);
    expect(events).to.deep.equal([
      { name: 'STOP', data: { reason: 'x' } },
      { name: 'RESUME', data: {} },
    ]);
    client.close();
  });

  it('rejects a command that the VMM refuses, and goes on', async () => {
    const client = await connect(
      await serve((request, socket) => {
        if (request.execute === 'good') return agree(request, socket);
        const error = { class: 'CommandNotFound', desc: 'no such command' };
        socket.write(`${JSON.stringify({ error, id: request.id })}\n`);
      }),
    );

    const error = await failureOf(client.execute('bad'));

    expect(error).to.be.instanceOf(QmpError);
    expect((error as QmpError).errorClass).to.equal('CommandNotFound');
    expect(await client.execute('good')).to.deep.equal({});
    client.close();
  });

  it('gives a command up that is not answered in time, and ignores the late answer', async () => {
    const late: Request[] = [];
    const client = await connect(
      await serve((request, socket) => {
        if (request.execute === 'slow') late.push(request);
        else {
          for (const { id } of late) socket.write(`${JSON.stringify({ return: 'late', id })}\n`);
          agree(request, socket);
        }
      }),
      50,
    );

    expect(await failureOf(client.execute('slow'))).to.be.an('error');
    expect(await client.execute('good')).to.deep.equal({});
    client.close();
  });

  it('gives up where nobody greets', async () => {
    const path = await serve(agree, '');

    expect(await failureOf(connect(path, 50))).to.be.an('error');
  });

  it('rejects with the connection’s own error where nobody listens', async () => {
    const path = await serve(agree);

    const error = await failureOf(connect(`${path}.none`));

    expect((error as NodeJS.ErrnoException).code).to.equal('ENOENT');
  });

  it('rejects with the reason of a signal, before and during a command', async () => {
    const path = await serve(() => undefined);
    const reason = new Error('cancelled');
    const cancel = new AbortController();
    const client = await connect(path);

    const answer = failureOf(client.execute('slow', {}, { signal: cancel.signal }));
    cancel.abort(reason);

    expect(await answer).to.equal(reason);
    expect(await failureOf(connect(path, 5000, AbortSignal.abort(reason)))).to.equal(reason);
    client.close();
  });

  it('rejects what waits when the VMM ends, and says so', async () => {
    const client = await connect(await serve((_, socket) => socket.destroy()));

    expect(await failureOf(client.execute('quit'))).to.be.an('error');
    await client.closed;
    expect(await failureOf(client.execute('more'))).to.be.an('error');
  });

  for (const [title, line] of [
    ['that is not JSON', '}{'],
    ['that is a list', '[1]'],
    ['that is nothing', 'null'],
    ['whose event is not an object', '{"event": "STOP", "data": 7}'],
    ['whose error is not an object', '{"error": null, "id": 2}'],
    ['that is binary', Buffer.from([0xff, 0xfe, 0x00]).toString('latin1')],
  ] as const) {
    it(`ends the connection at a line ${title}`, async () => {
      const client = await connect(await serve((_, socket) => socket.write(`${line}\n`)));

      expect(await failureOf(client.execute('anything'))).to.be.an('error');
      await client.closed;
    });
  }

  it('ends the connection at a line that does not end', async () => {
    const client = await connect(
      await serve((_, socket) => socket.write('x'.repeat(QMP_LINE_BYTES_MAX + 1))),
    );

    expect(await failureOf(client.execute('anything'))).to.be.an('error');
    await client.closed;
  });

  it('lets a VMM wait that sends more than it has to', async () => {
    const event = '{"event": "NOISE", "data": {}}\n';
    const noise = event.repeat(Math.ceil((2 * QMP_BYTES_PER_SECOND_MAX) / event.length));
    const client = await connect(
      await serve((request, socket) => {
        socket.write(noise);
        agree(request, socket);
      }),
    );
    const startedAt = performance.now();

    await client.execute('anything');

    // Two seconds' worth: what comes faster was not held back. A window is never shorter.
    expect(performance.now() - startedAt).to.be.greaterThan(900);
    expect(events.length * event.length).to.equal(noise.length);
    client.close();
  });

  it('takes no more commands than a limit', async () => {
    const client = await connect(await serve(() => undefined));
    const waiting = Array.from({ length: QMP_COMMANDS_MAX }, () =>
      failureOf(client.execute('slow')),
    );

    expect(await failureOf(client.execute('one more'))).to.be.an('error');

    client.close();
    await Promise.all(waiting);
  });
});

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail('the call did not fail'),
    (error: unknown) => error,
  );
}
