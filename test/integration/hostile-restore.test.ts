/** PostRestore of the agent's client against guests that fail, and that break the contract. */
import { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { GuestClient, type GuestRestore } from '../../agent/guest/guest-client.js';
import type { PostInitResponse_Step } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, type WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import {
  type HostileAnswers,
  type HostileGuest,
  hostileGuest,
  rawHttp2Guest,
} from '../support/hostile-guest.js';

const TIMEOUT_MS = 1_500;
const READY_TIMEOUT_MS = 10_000;
const UNREACHABLE = { code: Code.UNAVAILABLE, reason: 'GUEST_UNREACHABLE' } as const;
const FAILED = { code: Code.UNAVAILABLE, reason: 'RESTORE_FAILED' } as const;
const WEIRD_TEXT = `\u001b[2J\r\nroot: $(reboot) \u0000 ${'x'.repeat(3_000)} ünïcode`;
const RESTORE: GuestRestore = {
  identity: { sandboxId: 'sandboxoftest', templateId: 'minimal', env: {} },
  oldToken: 'old-token-of-a-test',
  keepEnv: true,
  clone: false,
  entropy: Buffer.alloc(32),
  machineId: '',
};

describe('PostRestore with a hostile guest', () => {
  const never = new AbortController().signal;
  const done = { name: 'token', durationMs: 1, error: '' };

  async function withGuest<T>(
    guest: Promise<HostileGuest>,
    use: (client: GuestClient) => Promise<T>,
  ): Promise<T> {
    await using running = await guest;
    const client = new GuestClient({
      target: running.target,
      token: 'new-token-of-a-test',
      log: silentLog,
      limits: { postInitTimeoutMs: TIMEOUT_MS },
    });
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  function failure(answers: HostileAnswers): Promise<WrennError> {
    return withGuest(hostileGuest(answers), (client) =>
      failureOf(client.postRestore(RESTORE, never)),
    );
  }

  const reporting = (...steps: PostInitResponse_Step[]) =>
    failure({ postRestore: () => ({ steps }) });

  it('gives the steps of one that is honest', async () => {
    const answers = { postRestore: () => ({ steps: [done] }) };

    const steps = await withGuest(hostileGuest(answers), (client) =>
      client.postRestore(RESTORE, never),
    );

    expect(steps).to.deep.equal([{ name: 'token', durationMs: 1 }]);
  });

  it('names the step that failed', async () => {
    const error = await reporting(done, { name: 'entropy', durationMs: 1, error: 'EPERM' });

    expect(error).to.include(FAILED);
    expect(error.metadata).to.deep.equal({ step: 'entropy' });
  });

  it('says so when the guest knows no PostRestore', async () => {
    const error = await failure({ failure: { code: Code.UNIMPLEMENTED, details: WEIRD_TEXT } });

    expect(error).to.include(FAILED);
    expectOwnWords(error);
  });

  it('passes no reason on that a guest has made up', async () => {
    const details = { code: Code.UNAVAILABLE, details: WEIRD_TEXT, metadata: new Metadata() };

    const error = await failure({ failure: details });

    expect(error).to.include(UNREACHABLE);
    expectOwnWords(error);
  });

  it('repeats nothing of what a guest calls its steps', async () => {
    const error = await reporting({ name: WEIRD_TEXT, durationMs: 1, error: WEIRD_TEXT });

    expect(error).to.include(FAILED);
    expectOwnWords(error);
  });

  for (const [what, steps] of [
    ['a name that is none', [{ ...done, name: WEIRD_TEXT }]],
    ['no name', [{ ...done, name: '' }]],
    ['a duration that is no number', [{ ...done, durationMs: Number.NaN }]],
    ['a duration without end', [{ ...done, durationMs: Number.POSITIVE_INFINITY }]],
    ['a negative duration', [{ ...done, durationMs: -1 }]],
    ['more steps than there are', Array.from({ length: 1_000 }, () => done)],
  ] as [string, PostInitResponse_Step[]][]) {
    it(`refuses ${what}`, async () => {
      const error = await reporting(...steps);

      expect(error).to.include(UNREACHABLE);
      expectOwnWords(error);
    });
  }

  it('ends when there is no answer, or the caller goes away', async () => {
    const silent = () => rawHttp2Guest((stream) => void stream.resume());
    const cancel = new AbortController();
    const reason = new Error('gone');

    const unanswered = await withGuest(silent(), (client) =>
      failureOf(client.postRestore(RESTORE, never)),
    );
    const cancelled = await withGuest(silent(), (client) => {
      const call = failureOf(client.postRestore(RESTORE, cancel.signal));
      cancel.abort(reason);
      return call;
    });

    expect(unanswered).to.include(UNREACHABLE);
    expect(cancelled).to.equal(reason);
  });

  it('keeps of its version what is printable and short', async () => {
    const { version } = await withGuest(hostileGuest({ version: WEIRD_TEXT }), (client) =>
      client.waitUntilReady(READY_TIMEOUT_MS, never),
    );

    expect(version).to.match(/^[\x20-\x7e]{1,64}$/);
  });
});

/** Neither the error nor what the operator's log gets of it has the guest's words as they came. */
function expectOwnWords(error: WrennError): void {
  const visible = JSON.stringify([error.message, error.metadata, error.violations]);
  expect(visible).not.to.match(/reboot|ünï|xxx|\\u00/);
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    expect(cause.message).to.match(/^[\x20-\x7e]{0,300}$/);
  }
}

async function failureOf(promise: Promise<unknown>): Promise<WrennError> {
  try {
    await promise;
  } catch (error) {
    return error as WrennError;
  }
  throw new Error('the call succeeded');
}
