/** A guest's daemon, as one would call it by hand. */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { credentials } from '@grpc/grpc-js';
import { GuestServiceService } from '../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService, StartRequest } from '../gen/ts/wrenn/envd/v1/process.js';
import { ENVD_PORT, ENVD_TOKEN_KEY } from '../lib/guest/contract.js';
import { randomId } from '../lib/ids/random-id.js';
import { retry } from '../lib/lifecycle/delay.js';
import { createClient } from '../lib/rpc/client.js';
import { GUEST_ADDRESS } from './guest-link.js';

const TARGET = `${GUEST_ADDRESS}:${ENVD_PORT}`;
const CALL_TIMEOUT_MS = 60_000;
/** A guest that was just restored is asked this often whether it takes connections. */
const CONNECT = { timeoutMs: 60_000, pauseMs: 2, pauseMsMax: 2 };
const CONNECT_TIMEOUT_MS = 250;
const ENTROPY_BYTES = 64;
const NS_PER_MS = 1_000_000n;
const CHANNEL_OPTIONS = {
  'grpc.enable_http_proxy': 0,
  // A new connection for each machine, never one that another had.
  'grpc.use_local_subchannel_pool': 1,
};

export class Guest implements Disposable {
  /** One connection for all, as the platform has it. */
  readonly #client = createClient(
    { ...GuestServiceService, ...ProcessServiceService },
    TARGET,
    credentials.createInsecure(),
    CHANNEL_OPTIONS,
  );
  readonly #token = randomBytes(16).toString('hex');

  /** Tells a restored guest that it is a new one, as the platform does. */
  async makeNew(oldToken: string, signal: AbortSignal): Promise<void> {
    await retry(() => connectOnce(), { ...CONNECT, signal });
    const request = {
      identity: {
        ...{ token: this.#token, sandboxId: randomId(), templateId: 'minimal', env: {} },
        wallClockNs: BigInt(Date.now()) * NS_PER_MS,
      },
      keepEnv: false,
      clone: true,
      entropy: randomBytes(ENTROPY_BYTES),
      machineId: randomBytes(16).toString('hex'),
    };
    const metadata: Record<string, string> = oldToken === '' ? {} : { [ENVD_TOKEN_KEY]: oldToken };
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal, metadata };
    const { steps } = await this.#client.postRestore(request, options);
    const failed = steps.find(({ error }) => error !== '');
    if (failed) throw new Error(`${failed.name}: ${failed.error}`);
  }

  /** Runs a program to its end. @throws Error when it does not end with 0. */
  async exec(cmd: string, args: string[], signal: AbortSignal): Promise<void> {
    const request = StartRequest.fromPartial({ cmd, args });
    const metadata = { [ENVD_TOKEN_KEY]: this.#token };
    let exitCode: number | undefined;
    for await (const { event } of this.#client.start(request, {
      ...{ timeoutMs: CALL_TIMEOUT_MS, signal, metadata },
    })) {
      if (event?.$case === 'exited') exitCode = event.value.exitCode;
    }
    if (exitCode !== 0) throw new Error(`${cmd} ended with ${exitCode}`);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** A first packet that is lost must not cost the second after which TCP sends it again. */
function connectOnce(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: GUEST_ADDRESS, port: ENVD_PORT });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
