/**
 * A program that prints without end, and readers that stop reading: nothing on
 * the way may grow, nobody else may wait, and what is read afterwards is whole.
 */

import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import { createClient } from '../../lib/rpc/client.js';
import { Requests, spec } from '../support/conversation.js';
import { TestPlatform } from '../support/platform.js';
import { residentBytes } from '../support/process-memory.js';

const MIB = 1024 * 1024;
/** What each reader reads after it has stopped for a while. */
const READ_BYTES = 128 * MIB;
/** What it reads before, so that the processes have what they need for it. */
const WARM_BYTES = 32 * MIB;
const SETTLES_MS = 1000;
const STOPPED_MS = 5000;
/** What either process may grow by while nobody reads. */
const STOPPED_GROWTH_BYTES_MAX = 24 * MIB;
const LINE = 'line of the endless output\n';

describe('a program that prints without end', function () {
  this.timeout(240_000);
  let platform: TestPlatform;
  let sandboxId: string;

  before(async () => {
    const settings = { WRENN_VMM_DRIVER: 'fake', WRENN_MEMORY_MB_MAX: '1000000' };
    platform = await TestPlatform.start({ settings });
    ({ sandboxId } = await platform.client.sandboxes.create({}));
  });

  after(() => platform?.[Symbol.asyncDispose]());

  it('waits for the gRPC client that started it and does not read', async () => {
    const client = createClient(
      ProcessServiceService,
      platform.grpcAddress,
      credentials.createInsecure(),
    );
    const options = { timeoutMs: 200_000, metadata: { 'x-api-key': platform.apiKey } };
    const requests = new Requests().start(sandboxId, spec('yes', LINE.trimEnd()));
    const events = client.execStream(requests, options)[Symbol.asyncIterator]();
    const check = new EndlessCheck();
    const readTo = async (offset: number) => {
      while (check.offset < offset) {
        const { value } = await events.next();
        if (value?.event?.$case !== 'stdout') continue;
        check.add(value.event.value.offset, value.event.value.data);
      }
    };

    await readTo(WARM_BYTES);
    await expectNoGrowth();
    await readTo(READ_BYTES);

    await events.return?.();
    client.close();
  });

  it('waits for the WebSocket that started it and does not read', async () => {
    const url = `${platform.httpUrl.replace('http', 'ws')}/v1/sandboxes/${sandboxId}/exec/stream`;
    const headers = { 'x-api-key': platform.apiKey };
    const socket = new WebSocket(url, ['wrenn.v1.json'], { headers });
    await once(socket, 'open');
    const check = new EndlessCheck();
    socket.on('message', (text: Buffer) => {
      const { stdout } = JSON.parse(text.toString()) as JsonEvent;
      if (stdout) check.add(stdout.offset, Buffer.from(stdout.data, 'base64'));
    });
    const readTo = async (offset: number) => {
      while (check.offset < offset) await once(socket, 'message');
    };
    socket.send(JSON.stringify({ start: { cmd: 'yes', args: [LINE.trimEnd()] } }));

    await readTo(WARM_BYTES);
    socket.pause();
    await expectNoGrowth();
    socket.resume();
    await readTo(READ_BYTES);

    socket.terminate();
  });

  it('leaves a reader behind that only attached to it and does not read', async () => {
    const { processId } = await platform.client.processes.start(sandboxId, {
      ...{ cmd: 'yes', args: [LINE.trimEnd()] },
    });
    const response = await get(`/v1/sandboxes/${sandboxId}/processes/${processId}/output`);
    await once(response, 'readable');

    await expectNoGrowth();
    let text = '';
    for await (const chunk of response) text += chunk;

    const lines = text.trimEnd().split('\n');
    const results = lines.slice(0, -1).map((line) => JSON.parse(line) as { result: JsonEvent });
    let next: number | undefined;
    for (const { result } of results) {
      if (!result.stdout) continue;
      expect(result.stdout.offset).to.equal(next ?? result.stdout.offset);
      next = result.stdout.offset + Buffer.from(result.stdout.data, 'base64').length;
    }
    const last = JSON.parse(lines.at(-1) ?? '') as { error?: { details: { reason?: string }[] } };
    const reasons = last.error?.details.map(({ reason }) => reason);
    expect(reasons).to.include('OUTPUT_OUT_OF_RANGE');
  });

  async function expectNoGrowth(): Promise<void> {
    await setTimeout(SETTLES_MS);
    const before = await memory();
    const endsAt = performance.now() + STOPPED_MS;
    while (performance.now() < endsAt) {
      const { stdoutText } = await platform.client.exec(sandboxId, { cmd: 'echo', args: ['hi'] });
      expect(stdoutText).to.equal('hi\n');
      await setTimeout(100);
    }
    const after = await memory();
    for (const [name, bytes] of Object.entries(after)) {
      expect(bytes - (before[name] ?? 0), name).to.be.lessThan(STOPPED_GROWTH_BYTES_MAX);
    }
  }

  async function memory(): Promise<Record<string, number>> {
    return {
      agent: await residentBytes(platform.pid('agent')),
      controlPlane: await residentBytes(platform.pid('control plane')),
    };
  }

  async function get(path: string): Promise<IncomingMessage> {
    const headers = { 'x-api-key': platform.apiKey };
    const request = httpRequest(`${platform.httpUrl}${path}`, { headers });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  }
});

interface JsonEvent {
  stdout?: { offset: number; data: string };
}

/** Holds output against the endless repetition of one line. */
class EndlessCheck {
  offset = 0;
  readonly #pattern = Buffer.from(LINE.repeat(8192));

  add(offset: number, data: Buffer): void {
    expect(offset).to.equal(this.offset);
    const from = offset % LINE.length;
    expect(data.equals(this.#pattern.subarray(from, from + data.length))).to.equal(true);
    this.offset += data.length;
  }
}
