import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { HttpBody } from '../../gen/ts/google/api/httpbody.js';
import { CreateApiKeyResponse } from '../../gen/ts/wrenn/v1/api_key.js';
import { Session, User } from '../../gen/ts/wrenn/v1/auth.js';
import { WriteFileResponse } from '../../gen/ts/wrenn/v1/file.js';
import { ExecResponse } from '../../gen/ts/wrenn/v1/process.js';
import {
  ForkResult,
  Generation,
  ResumeMode,
  ResumeSandboxResponse,
  Sandbox,
  SandboxState,
  TimeoutAction,
  VerifyGenerationResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { Snapshot } from '../../gen/ts/wrenn/v1/snapshot.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { WrennApiError, WrennClient } from './index.js';

async function withClient<T>(
  script: Script,
  use: (
    client: WrennClient,
    calls: Awaited<ReturnType<typeof startApiServer>>['calls'],
  ) => Promise<T>,
): Promise<T> {
  await using server = await startApiServer(script);
  using client = new WrennClient({ address: server.address, apiKey: 'key', accessToken: 'token' });
  return await use(client, server.calls);
}

async function failureOf(call: Promise<unknown>): Promise<WrennApiError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).to.be.instanceOf(WrennApiError);
  return outcome as WrennApiError;
}

describe('WrennClient', () => {
  it('sends API key and access token with each call', async () => {
    await withClient(
      { auth: { getMe: async () => User.fromPartial({ email: 'a@example.com' }) } },
      async (client, calls) => {
        expect((await client.auth.me()).email).to.equal('a@example.com');
        expect(calls[0]?.metadata.get('x-api-key')).to.deep.equal(['key']);
        expect(calls[0]?.metadata.get('authorization')).to.deep.equal(['Bearer token']);
      },
    );
  });

  it('creates a sandbox from the options and leaves the rest to the server', async () => {
    await withClient(
      {
        sandboxes: {
          createSandbox: async (_, request) =>
            Sandbox.fromPartial({
              sandboxId: 'sb1',
              state: SandboxState.SANDBOX_STATE_RUNNING,
              vcpus: request.vcpus,
              template: request.template,
              metadata: request.metadata,
            }),
        },
      },
      async (client) => {
        const sandbox = await client.sandboxes.create({ vcpus: 2, metadata: { owner: 'me' } });
        expect(sandbox).to.include({ sandboxId: 'sb1', vcpus: 2, template: '' });
        expect(sandbox.metadata).to.deep.equal({ owner: 'me' });
      },
    );
  });

  it('lists sandboxes across pages until a page has no successor', async () => {
    const tokens: string[] = [];
    await withClient(
      {
        sandboxes: {
          listSandboxes: async (_, { pageToken }) => {
            tokens.push(pageToken);
            const last = pageToken === 'two';
            return {
              sandboxes: [Sandbox.fromPartial({ sandboxId: last ? 'b' : 'a' })],
              nextPageToken: last ? '' : 'two',
            };
          },
        },
      },
      async (client) => {
        const ids: string[] = [];
        for await (const { sandboxId } of client.sandboxes.list()) ids.push(sandboxId);
        expect(ids).to.deep.equal(['a', 'b']);
        expect(tokens).to.deep.equal(['', 'two']);
      },
    );
  });

  it('returns an exit code other than 0 as a result', async () => {
    await withClient(
      {
        processes: {
          exec: async (_, { sandboxId, cmd, args }) =>
            ExecResponse.fromPartial({
              stdoutText: [sandboxId, cmd, ...args].join(' '),
              exitCode: 7,
            }),
        },
      },
      async (client) => {
        const result = await client.exec('sb1', { cmd: 'sh', args: ['-c', 'exit 7'] });
        expect(result).to.include({ exitCode: 7, stdoutText: 'sb1 sh -c exit 7' });
      },
    );
  });

  it('writes text and bytes and reads bytes back', async () => {
    const files = new Map<string, Buffer>();
    await withClient(
      {
        files: {
          writeFile: async (_, { path, file }) => {
            files.set(path, file);
            return WriteFileResponse.fromPartial({ path, sizeBytes: file.length });
          },
          readFile: async (_, { path }) =>
            HttpBody.fromPartial({ data: files.get(path) ?? Buffer.of() }),
        },
      },
      async (client) => {
        expect((await client.files.write('sb1', '/a', 'grüße')).sizeBytes).to.equal(7);
        await client.files.write('sb1', '/b', Uint8Array.of(0, 255));
        expect((await client.files.read('sb1', '/a')).toString()).to.equal('grüße');
        expect([...(await client.files.read('sb1', '/b'))]).to.deep.equal([0, 255]);
      },
    );
  });

  it('pauses a sandbox and resumes it warm or cold', async () => {
    const modes: ResumeMode[] = [];
    await withClient(
      {
        sandboxes: {
          pauseSandbox: async (_, { sandboxId }) =>
            Sandbox.fromPartial({ sandboxId, state: SandboxState.SANDBOX_STATE_PAUSED }),
          resumeSandbox: async (_, { sandboxId, mode }) => {
            modes.push(mode);
            const steps = [{ name: 'wall_clock', durationMs: 2 }];
            return ResumeSandboxResponse.fromPartial({ sandbox: { sandboxId }, steps });
          },
        },
      },
      async (client) => {
        const paused = await client.sandboxes.pause('sb1');
        expect(paused.state).to.equal(SandboxState.SANDBOX_STATE_PAUSED);
        const { sandbox, steps } = await client.sandboxes.resume('sb1');
        expect(sandbox?.sandboxId).to.equal('sb1');
        expect(steps).to.deep.equal([{ name: 'wall_clock', durationMs: 2 }]);
        await client.sandboxes.resume('sb1', { cold: true });
        expect(modes).to.deep.equal([ResumeMode.RESUME_MODE_WARM, ResumeMode.RESUME_MODE_COLD]);
      },
    );
  });

  it('returns what became of each copy of a fork', async () => {
    await withClient(
      {
        sandboxes: {
          forkSandbox: async (_, { sandboxId, count }) => ({
            results: [
              ForkResult.fromPartial({
                result: { $case: 'sandbox', value: { sandboxId: `${sandboxId}-of-${count}` } },
              }),
              ForkResult.fromPartial({
                result: { $case: 'error', value: { code: Code.RESOURCE_EXHAUSTED } },
              }),
            ],
          }),
        },
      },
      async (client) => {
        const { results } = await client.sandboxes.fork('sb1', 2);
        const [copy, failure] = results.map(({ result }) => result);
        expect(copy).to.have.nested.property('value.sandboxId', 'sb1-of-2');
        expect(failure).to.deep.include({ $case: 'error' });
        expect(failure).to.have.nested.property('value.code', Code.RESOURCE_EXHAUSTED);
      },
    );
  });

  it('leaves what a timeout leads to as it is unless told', async () => {
    const actions: TimeoutAction[] = [];
    await withClient(
      {
        sandboxes: {
          setSandboxTimeout: async (_, { sandboxId, timeoutSec, onTimeout }) => {
            actions.push(onTimeout);
            return Sandbox.fromPartial({ sandboxId, timeoutSec, onTimeout });
          },
        },
      },
      async (client) => {
        expect(await client.sandboxes.setTimeout('sb1', 60)).to.include({ timeoutSec: 60 });
        await client.sandboxes.setTimeout('sb1', 0, TimeoutAction.TIMEOUT_ACTION_PAUSE);
        expect(actions).to.deep.equal([
          TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED,
          TimeoutAction.TIMEOUT_ACTION_PAUSE,
        ]);
      },
    );
  });

  it('lists and verifies generations', async () => {
    await withClient(
      {
        sandboxes: {
          listGenerations: async () => ({
            generations: ['g0', 'g1'].map((generationId) =>
              Generation.fromPartial({ generationId, memoryBytes: 2 ** 40 }),
            ),
          }),
          verifyGeneration: async () =>
            VerifyGenerationResponse.fromPartial({ generationId: 'g1', verifiedBytes: 4096 }),
        },
      },
      async (client) => {
        const generations = await client.sandboxes.generations('sb1');
        expect(generations.map(({ generationId }) => generationId)).to.deep.equal(['g0', 'g1']);
        expect(generations[0]?.memoryBytes).to.equal(2 ** 40);
        const verified = await client.sandboxes.verifyGeneration('sb1');
        expect(verified).to.include({ generationId: 'g1', verifiedBytes: 4096 });
      },
    );
  });

  it('makes, lists, shows and deletes snapshots', async () => {
    const snapshots = new Map<string, Snapshot>();
    await withClient(
      {
        snapshots: {
          createSnapshot: async (_, { sandboxId, name }) => {
            const snapshot = Snapshot.fromPartial({ snapshotId: 'sn1', sandboxId, name });
            snapshots.set('sn1', snapshot);
            return snapshot;
          },
          getSnapshot: async (_, { snapshotId }) => snapshots.get(snapshotId) as Snapshot,
          listSnapshots: async () => ({ snapshots: [...snapshots.values()], nextPageToken: '' }),
          deleteSnapshot: async (_, { snapshotId }) => {
            snapshots.delete(snapshotId);
            return {};
          },
        },
      },
      async (client) => {
        const listed = async () => {
          const names: string[] = [];
          for await (const { name } of client.snapshots.list()) names.push(name);
          return names;
        };
        const { snapshotId } = await client.snapshots.create('sb1', 'ready');
        expect(await client.snapshots.get(snapshotId)).to.include({ name: 'ready' });
        expect(await listed()).to.deep.equal(['ready']);
        await client.snapshots.delete(snapshotId);
        expect(await listed()).to.deep.equal([]);
      },
    );
  });

  it('signs up and makes a key whose secret stands in the answer', async () => {
    await withClient(
      {
        auth: {
          signUp: async (_, { email }) =>
            Session.fromPartial({ user: { email }, accessToken: 't' }),
        },
        apiKeys: {
          createApiKey: async (_, { name }) =>
            CreateApiKeyResponse.fromPartial({ apiKey: { name }, key: 'wrn_key_secret' }),
        },
      },
      async (client) => {
        const session = await client.auth.signUp({
          email: 'a@example.com',
          password: 'x'.repeat(8),
        });
        expect(session.accessToken).to.equal('t');
        expect(await client.apiKeys.create('ci')).to.deep.include({ key: 'wrn_key_secret' });
      },
    );
  });
});

describe('WrennApiError', () => {
  it('carries code, reason, metadata and the time to try again', async () => {
    const refuse = async () => {
      throw new WrennError(Code.RESOURCE_EXHAUSTED, 'SANDBOX_LIMIT', 'too many', {
        metadata: { limit: '5' },
        retryAfterSec: 3,
      });
    };
    await withClient({ sandboxes: { createSandbox: refuse } }, async (client) => {
      const error = await failureOf(client.sandboxes.create());
      expect(error.code).to.equal(status.RESOURCE_EXHAUSTED);
      expect(error.codeName).to.equal('RESOURCE_EXHAUSTED');
      expect(error.reason).to.equal('SANDBOX_LIMIT');
      expect(error.metadata).to.include({ limit: '5' });
      expect(error.retryAfterSec).to.equal(3);
    });
  });

  it('names the faulty fields of an invalid request', async () => {
    const refuse = async () => {
      throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'invalid', {
        violations: [{ field: 'vcpus', description: 'too many', rule: 'int32.lte' }],
      });
    };
    await withClient({ sandboxes: { createSandbox: refuse } }, async (client) => {
      const error = await failureOf(client.sandboxes.create());
      expect(error.violations[0]).to.include({ field: 'vcpus', description: 'too many' });
    });
  });

  it('is UNAVAILABLE without a reason when nothing listens', async () => {
    const { address } = await startApiServer({}).then(async (server) => {
      await server[Symbol.asyncDispose]();
      return server;
    });
    using client = new WrennClient({ address });
    const error = await failureOf(client.sandboxes.get('sb1', { timeoutMs: 5000 }));
    expect(error.code).to.equal(status.UNAVAILABLE);
    expect(error.reason).to.equal('');
  });

  it('is CANCELLED when the caller aborts', async () => {
    const controller = new AbortController();
    const wait = async (context: { signal: AbortSignal }) => {
      controller.abort();
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
      return Sandbox.fromPartial({});
    };
    await withClient({ sandboxes: { getSandbox: wait } }, async (client) => {
      const error = await failureOf(client.sandboxes.get('sb1', { signal: controller.signal }));
      expect(error.code).to.equal(status.CANCELLED);
    });
  });
});
