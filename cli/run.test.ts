import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ApiKey, CreateApiKeyResponse } from '../gen/ts/wrenn/v1/api_key.js';
import { Session } from '../gen/ts/wrenn/v1/auth.js';
import { type ListSandboxesRequest, Sandbox, SandboxState } from '../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../lib/errors/index.js';
import { type ApiServer, type Script, startApiServer } from '../test/support/api-server.js';
import { type CommandLine, commandLine } from '../test/support/command-line.js';

async function against(
  script: Script,
  use: (cli: CommandLine, server: ApiServer) => Promise<void>,
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  await using server = await startApiServer(script);
  await using cli = await commandLine(server.address, environment);
  await use(cli, server);
}

const refuse = (error: WrennError) => async () => {
  throw error;
};

const users: Script = {
  auth: {
    signUp: async (_, { email }) => Session.fromPartial({ user: { email }, accessToken: 'token' }),
    logIn: async (_, { email }) => Session.fromPartial({ user: { email }, accessToken: 'token' }),
  },
  apiKeys: {
    createApiKey: async () =>
      CreateApiKeyResponse.fromPartial({ key: 'wrn_secret', apiKey: { apiKeyId: 'k1' } }),
    listApiKeys: async () => ({
      apiKeys: [ApiKey.fromPartial({ apiKeyId: 'k1', name: 'ci', keyPrefix: 'wrn_se' })],
      nextPageToken: '',
    }),
    deleteApiKey: async () => ({}),
  },
  sandboxes: {
    listSandboxes: async () => ({
      sandboxes: [
        Sandbox.fromPartial({
          sandboxId: 'sb1',
          template: 'minimal',
          state: SandboxState.SANDBOX_STATE_RUNNING,
          vcpus: 1,
          memoryMb: 512,
        }),
      ],
      nextPageToken: '',
    }),
  },
};

describe('wrenn auth and key', () => {
  it('store token and key for the server, readable by their owner alone', async () => {
    await against(users, async (cli, server) => {
      const signup = ['auth', 'signup', '--email', 'a@example.com', '--password-stdin'];
      expect((await cli.run(signup, 'long password\n')).exitCode).to.equal(0);
      expect((await cli.run(['key', 'create'])).stdout).to.equal('wrn_secret\n');
      expect((await cli.run(['sandbox', 'ls'])).exitCode).to.equal(0);

      const [, create, list] = server.calls;
      expect(create?.metadata.get('authorization')).to.deep.equal(['Bearer token']);
      expect(list?.metadata.get('x-api-key')).to.deep.equal(['wrn_secret']);
      const { mode } = await stat(join(cli.configDirectory, 'config.json'));
      expect(mode & 0o777).to.equal(0o600);
    });
  });

  it('never send what is stored for one server to another', async () => {
    await against(users, async (cli) => {
      await cli.run(['auth', 'login', '--email', 'a@example.com', '--password-stdin'], 'x');
      await using other = await startApiServer(users);
      await cli.run(['key', 'ls', '--address', other.address]);
      expect(other.calls[0]?.metadata.get('authorization')).to.deep.equal([]);
    });
  });

  it('forget the key of the user before when another user logs in', async () => {
    await against(users, async (cli, server) => {
      const login = (email: string) =>
        cli.run(['auth', 'login', '--email', email, '--password-stdin'], 'x');
      await login('a@example.com');
      await cli.run(['key', 'create']);
      await login('b@example.com');
      await cli.run(['sandbox', 'ls']);
      expect(server.calls.at(-1)?.metadata.get('x-api-key')).to.deep.equal([]);
    });
  });

  it('forget a stored key that is revoked', async () => {
    await against(users, async (cli, server) => {
      await cli.run(['key', 'create']);
      expect((await cli.run(['key', 'rm', 'k1'])).stdout).to.equal('k1\n');
      await cli.run(['sandbox', 'ls']);
      expect(server.calls.at(-1)?.metadata.get('x-api-key')).to.deep.equal([]);
    });
  });

  it('let the environment’s key go before the stored one', async () => {
    await against(
      users,
      async (cli, server) => {
        await cli.run(['key', 'create']);
        await cli.run(['sandbox', 'ls']);
        expect(server.calls.at(-1)?.metadata.get('x-api-key')).to.deep.equal(['from-env']);
      },
      { WRENN_API_KEY: 'from-env' },
    );
  });

  it('ask for no password where nobody can be asked', async () => {
    await against(users, async (cli, server) => {
      const { exitCode } = await cli.run(['auth', 'login', '--email', 'a@example.com']);
      expect(exitCode).to.equal(1);
      expect(server.calls).to.deep.equal([]);
    });
  });
});

describe('wrenn sandbox', () => {
  it('creates a sandbox from the options and prints its id alone', async () => {
    let asked: unknown;
    const createSandbox = async (_: unknown, request: unknown) => {
      asked = request;
      return Sandbox.fromPartial({ sandboxId: 'sb1' });
    };
    await against({ sandboxes: { createSandbox } }, async (cli) => {
      const options = ['--template', 'minimal', '--vcpus', '2', '--memory', '2g'];
      const more = ['--timeout', '60', '--env', 'A=1', '--env', 'B=x=y', '--metadata', 'owner=me'];
      const created = await cli.run(['sandbox', 'create', ...options, ...more]);
      expect(created).to.deep.equal({ exitCode: 0, stdout: 'sb1\n', stderr: '' });
      expect(asked).to.deep.include({
        template: 'minimal',
        vcpus: 2,
        memoryMb: 2048,
        timeoutSec: 60,
        env: { A: '1', B: 'x=y' },
        metadata: { owner: 'me' },
      });
    });
  });

  it('lists as a table for people and as the API’s JSON for programs', async () => {
    await against(users, async (cli) => {
      const table = (await cli.run(['sandbox', 'ls'])).stdout.split('\n');
      expect(table[0]).to.match(/^ID +TEMPLATE +STATE/);
      expect(table[1]).to.match(/^sb1 +minimal +RUNNING +1 +512 MiB/);

      const { sandboxes } = JSON.parse((await cli.run(['sandbox', 'ls', '--json'])).stdout);
      expect(sandboxes).to.have.length(1);
      expect(sandboxes[0]).to.deep.include({
        sandbox_id: 'sb1',
        state: 'SANDBOX_STATE_RUNNING',
        memory_mb: 512,
      });
    });
  });

  it('lists only those that the filters let through', async () => {
    const asked: ListSandboxesRequest[] = [];
    const listSandboxes = async (_: unknown, request: ListSandboxesRequest) => {
      asked.push(request);
      return { sandboxes: [], nextPageToken: '' };
    };
    await against({ sandboxes: { listSandboxes } }, async (cli) => {
      const filters = ['--state', 'running', '--state', 'PAUSED', '--metadata', 'owner=me'];
      expect((await cli.run(['sandbox', 'ls', ...filters])).exitCode).to.equal(0);
      expect(asked).to.have.length(1);
      expect(asked[0]).to.deep.include({
        states: [SandboxState.SANDBOX_STATE_RUNNING, SandboxState.SANDBOX_STATE_PAUSED],
        metadata: ['owner=me'],
      });
      expect((await cli.run(['sandbox', 'ls', '--state', 'asleep'])).exitCode).to.equal(1);
      expect(asked).to.have.length(1);
    });
  });

  it('deletes each sandbox that is named', async () => {
    const deleted: string[] = [];
    const deleteSandbox = async (_: unknown, { sandboxId }: { sandboxId: string }) => {
      deleted.push(sandboxId);
      return {};
    };
    await against({ sandboxes: { deleteSandbox } }, async (cli) => {
      expect((await cli.run(['sandbox', 'rm', 'a', 'b'])).stdout).to.equal('a\nb\n');
      expect(deleted).to.deep.equal(['a', 'b']);
    });
  });

  it('refuses an option with a wrong value before it calls anything', async () => {
    await against(users, async (cli, server) => {
      for (const [option, value] of [
        ['--vcpus', 'two'],
        ['--memory', '1q'],
        ['--env', 'novalue'],
      ] as const) {
        const { exitCode, stderr } = await cli.run(['sandbox', 'create', option, value]);
        expect(exitCode).to.equal(1);
        expect(stderr).to.include(option);
      }
      expect(server.calls).to.deep.equal([]);
    });
  });
});

describe('a failed command', () => {
  it('says that nothing answers, where, and what to do', async () => {
    await using server = await startApiServer({});
    await server[Symbol.asyncDispose]();
    await using cli = await commandLine(server.address);
    const { exitCode, stdout, stderr } = await cli.run(['sandbox', 'ls']);
    expect(exitCode).to.equal(1);
    expect(stdout).to.equal('');
    expect(stderr).to.include(server.address).and.include('npm start');
  });

  it('says how to get a credential when it is missing', async () => {
    const missing = new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', 'no key');
    await against({ sandboxes: { listSandboxes: refuse(missing) } }, async (cli) => {
      const { exitCode, stderr } = await cli.run(['sandbox', 'ls']);
      expect(exitCode).to.equal(1);
      expect(stderr).to.include('WRENN_API_KEY');
    });
  });

  it('prints code, reason and metadata as JSON when JSON is asked for', async () => {
    const limit = new WrennError(Code.RESOURCE_EXHAUSTED, 'SANDBOX_LIMIT', 'too many', {
      metadata: { limit: '5' },
    });
    await against({ sandboxes: { createSandbox: refuse(limit) } }, async (cli) => {
      const { exitCode, stdout, stderr } = await cli.run(['sandbox', 'create', '--json']);
      expect(exitCode).to.equal(1);
      expect(stdout).to.equal('');
      const { error } = JSON.parse(stderr);
      expect(error).to.include({ code: 'RESOURCE_EXHAUSTED', reason: 'SANDBOX_LIMIT' });
      expect(error.metadata).to.include({ limit: '5' });
    });
  });

  it('names an unknown command and ends with 1', async () => {
    await using cli = await commandLine('127.0.0.1:1');
    const { exitCode, stderr } = await cli.run(['sandbx']);
    expect(exitCode).to.equal(1);
    expect(stderr).to.include('sandbx');
  });

  it('names a setting that is wrong', async () => {
    await using cli = await commandLine('', { WRENN_GRPC_ADDRESS: 'nowhere' });
    const { exitCode, stderr } = await cli.run(['sandbox', 'ls']);
    expect(exitCode).to.equal(1);
    expect(stderr).to.include('WRENN_GRPC_ADDRESS');
  });

  it('names a stored configuration that is broken', async () => {
    await using cli = await commandLine('127.0.0.1:1');
    await writeFile(join(cli.configDirectory, 'config.json'), '{ broken');
    const { exitCode, stderr } = await cli.run(['sandbox', 'ls']);
    expect(exitCode).to.equal(1);
    expect(stderr).to.include('config.json');
  });
});
