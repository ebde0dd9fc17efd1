import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../../../test/support/eventually.js';
import { createRecordingLog, type RecordingLog } from '../../../test/support/recording-log.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { QemuMachine } from './machine.js';
import { qmpSocketPath } from './vmm-process.js';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';
const EVENTS = 20;
const NAME_LENGTH = 10_000;

describe('QEMU machine', () => {
  let directory: TemporaryDirectory;
  let server: Server;
  let log: RecordingLog;
  let machine: QemuMachine;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    log = createRecordingLog();
    machine = new QemuMachine({
      record: {
        driver: 'qemu',
        pid: 0,
        startTimeTicks: '',
        runDirectory: directory.path,
        cgroups: [],
        guestTarget: '',
      },
      end: { ended: new Promise(() => undefined), check: () => undefined, stop: () => undefined },
      messages: undefined,
      free: () => Promise.resolve(),
      log,
    });
  });

  afterEach(async () => {
    machine.release();
    server.close();
    await directory.remove();
  });

  /** Serves a VMM that answers each command by `running`, with `before` sent before it. */
  async function serve(before: string): Promise<void> {
    server = createServer((socket: Socket) => {
      socket.on('error', () => undefined);
      socket.write(GREETING);
      socket.on('data', (chunk) => {
        for (const line of chunk.toString().trim().split('\n')) {
          const { id } = JSON.parse(line) as { id: number };
          socket.write(`${before}${JSON.stringify({ return: { status: 'running' }, id })}\n`);
        }
      });
    });
    server.listen(qmpSocketPath(directory.path));
    await once(server, 'listening');
  }

  it('says once that its disk fails, and little, however often and much its VMM says it', async () => {
    const data = { device: 'd'.repeat(NAME_LENGTH), operation: 'write', nospace: true };
    const event = `${JSON.stringify({ event: 'BLOCK_IO_ERROR', data })}\n`;
    await serve(event.repeat(EVENTS));

    await machine.checkRunning();

    await eventually(() => expect(log.lines).not.to.have.length(0));
    expect(log.lines).to.have.length(1);
    expect(JSON.stringify(log.lines)).to.have.length.below(NAME_LENGTH);
  });
});
