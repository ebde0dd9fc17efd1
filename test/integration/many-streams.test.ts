/** A thousand conversations at once through control plane and agent on the fake driver. */
import { credentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import { SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import { type ClientCallOptions, createClient } from '../../lib/rpc/client.js';
import { Requests, spec } from '../support/conversation.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';
import { residentBytes } from '../support/process-memory.js';

const SANDBOXES = 5;
const STREAMS_PER_SANDBOX = 200;
const PERIOD_MS = 1000;
/** Lines of each program, one a period: a minute. */
const LINES = 60;
/** Calls one after another while the streams run. */
const CALL_TIMEOUT_MS = 5000;
const HEAP_MB_MAX = 192;
/** What either process may grow by, once all streams run. */
const GROWTH_BYTES_MAX = 128 * 1024 * 1024;

describe('a thousand conversations with programs for a minute', function () {
  this.timeout(240_000);
  let platform: TestPlatform;

  before(async () => {
    const settings = {
      WRENN_VMM_DRIVER: 'fake',
      WRENN_MEMORY_MB_MAX: '1000000',
      // Garbage that is not collected yet would pass for growth; what cannot be collected ends the process.
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB_MAX}`,
    };
    platform = await TestPlatform.start({ settings });
  });

  after(() => platform?.[Symbol.asyncDispose]());

  it('lose and repeat nothing, and keep no other call from its answer', async () => {
    const sandboxIds = await Promise.all(
      Array.from({ length: SANDBOXES }, async () => {
        return (await platform.client.sandboxes.create({})).sandboxId;
      }),
    );
    const clients = sandboxIds.map(() => processClient());
    const streams = sandboxIds.flatMap((sandboxId, index) =>
      Array.from({ length: STREAMS_PER_SANDBOX }, () => new Ticking(sandboxId)).map((ticking) => ({
        ticking,
        done: ticking.run(clients[index] ?? processClient(), options()),
      })),
    );
    try {
      await eventually(
        () => expect(streams.filter(({ ticking }) => ticking.lines > 0)).to.have.length(1000),
        { timeoutMs: 60_000 },
      );
      const before = await memory();
      let calls = 0;
      const unary = sandboxClient();
      while (streams.some(({ ticking }) => ticking.lines < LINES)) {
        await unary.getSandbox({ sandboxId: sandboxIds[0] ?? '' }, options(CALL_TIMEOUT_MS));
        calls += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const after = await memory();

      await Promise.all(streams.map(({ done }) => done));
      expect(streams.every(({ ticking }) => ticking.isRight(LINES))).to.equal(true);
      expect(calls).to.be.greaterThan(50);
      for (const [name, bytes] of Object.entries(after)) {
        expect(bytes - (before[name] ?? 0), name).to.be.lessThan(GROWTH_BYTES_MAX);
      }
      unary.close();
    } finally {
      for (const client of clients) client.close();
    }
  });

  function options(timeoutMs = 200_000): ClientCallOptions {
    return { timeoutMs, metadata: { 'x-api-key': platform.apiKey } };
  }

  /** A connection takes 250 streams, so each sandbox has one of its own. */
  function processClient() {
    return createClient(
      ProcessServiceService,
      platform.grpcAddress,
      credentials.createInsecure(),
      OWN_CONNECTION,
    );
  }

  function sandboxClient() {
    return createClient(
      SandboxServiceService,
      platform.grpcAddress,
      credentials.createInsecure(),
      OWN_CONNECTION,
    );
  }

  async function memory(): Promise<Record<string, number>> {
    const [agent, controlPlane] = [
      await platform.pid('agent'),
      await platform.pid('control plane'),
    ];
    return { agent: await residentBytes(agent), controlPlane: await residentBytes(controlPlane) };
  }
});

const OWN_CONNECTION = { 'grpc.use_local_subchannel_pool': 1 };

/** One conversation with a program that prints a numbered line each second. */
class Ticking {
  lines = 0;
  #text = '';
  #offset = 0;
  #hasGap = false;
  #exitCode: number | undefined;
  readonly #sandboxId: string;

  constructor(sandboxId: string) {
    this.#sandboxId = sandboxId;
  }

  async run(
    client: ReturnType<typeof createClient<typeof ProcessServiceService>>,
    options: ClientCallOptions,
  ): Promise<void> {
    const program = spec('tick', String(PERIOD_MS), String(LINES));
    const requests = new Requests().start(this.#sandboxId, program);
    for await (const { event } of client.execStream(requests, options)) {
      if (event?.$case === 'exited') this.#exitCode = event.value.exitCode;
      if (event?.$case !== 'stdout') continue;
      const { offset, data } = event.value;
      this.#hasGap ||= offset !== this.#offset;
      this.#offset += data.length;
      this.#text += data.toString();
      this.lines = this.#text.split('\n').length - 1;
    }
  }

  isRight(lines: number): boolean {
    const wanted = Array.from({ length: lines }, (_, index) => `tick ${index + 1}\n`).join('');
    return this.#text === wanted && !this.#hasGap && this.#exitCode === 0;
  }
}
