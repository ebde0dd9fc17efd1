import { getEventListeners } from 'node:events';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { silentLog } from '../../lib/log/log.js';
import { serve } from '../../lib/rpc/service.js';
import { GuestCalls } from './guest-calls.js';

describe('GuestCalls', () => {
  let server: Server;
  let calls: GuestCalls;

  beforeEach(async () => {
    server = new Server();
    const getHealth = async () => ({ version: '1' });
    const handlers = { getHealth } as unknown as Parameters<
      typeof serve<typeof GuestServiceService, undefined>
    >[2];
    serve(server, GuestServiceService, handlers, { log: silentLog, authenticate: () => undefined });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    calls = new GuestCalls(`127.0.0.1:${port}`, 'token-of-a-test');
  });

  afterEach(() => {
    calls.close();
    server.forceShutdown();
  });

  it('leaves nothing of a call with the signals that outlive it', async () => {
    const { signal } = new AbortController();
    const options = calls.options(10_000, signal);

    for (let count = 0; count < 20; count += 1) {
      await calls.call(signal, ({ guest }) => guest.getHealth({}, calls.options(10_000, signal)));
    }

    for (const lasting of [signal, options.alsoSignal]) {
      expect(lasting).to.be.an.instanceOf(AbortSignal);
      if (!lasting) continue;
      expect(getEventListeners(lasting, 'abort')).to.deep.equal([]);
      expect(dependantsOf(lasting)).to.equal(0);
    }
  });

  it('ends a call when it is closed', async () => {
    const { signal } = new AbortController();
    const waiting = calls.call(signal, ({ guest }) => {
      const call = guest.getHealth({}, calls.options(10_000, signal));
      calls.close();
      return call;
    });

    const error = await waiting.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('reason', 'GUEST_UNREACHABLE');
  });
});

/** Signals that AbortSignal.any has made of one. */
function dependantsOf(signal: AbortSignal): number {
  const symbol = Object.getOwnPropertySymbols(signal).find(
    ({ description }) => description === 'kDependantSignals',
  );
  return symbol ? (Reflect.get(signal, symbol)?.size ?? 0) : 0;
}
