import { expect } from 'chai';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import {
  type ForkResult,
  Generation,
  ResumeMode,
  ResumeSandboxResponse,
  Sandbox,
  SandboxState,
  TimeoutAction,
  VerifyGenerationResponse,
} from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { type Script, startApiServer } from '../../test/support/api-server.js';
import { type CommandLine, commandLine } from '../../test/support/command-line.js';

async function against(
  sandboxes: NonNullable<Script['sandboxes']>,
  use: (cli: CommandLine) => Promise<void>,
): Promise<void> {
  await using server = await startApiServer({ sandboxes });
  await using cli = await commandLine(server.address);
  await use(cli);
}

const paused = (sandboxId: string) =>
  Sandbox.fromPartial({ sandboxId, state: SandboxState.SANDBOX_STATE_PAUSED });

describe('wrenn sandbox pause', () => {
  it('prints the id of each sandbox when it is paused', async () => {
    await against({ pauseSandbox: async (_, { sandboxId }) => paused(sandboxId) }, async (cli) => {
      expect((await cli.run(['sandbox', 'pause', 'a', 'b'])).stdout).to.equal('a\nb\n');
    });
  });

  it('prints the HTTP API’s answer for each as a line of its own', async () => {
    await against({ pauseSandbox: async (_, { sandboxId }) => paused(sandboxId) }, async (cli) => {
      const { stdout } = await cli.run(['sandbox', 'pause', 'a', 'b', '--json']);
      const answers = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(answers.map(({ sandbox_id: id }) => id)).to.deep.equal(['a', 'b']);
      expect(answers[0].state).to.equal('SANDBOX_STATE_PAUSED');
    });
  });

  it('ends at the first that cannot be paused', async () => {
    const pauseSandbox = async (_: unknown, { sandboxId }: { sandboxId: string }) => {
      if (sandboxId === 'b') throw new WrennError(Code.INTERNAL, 'PAUSE_FAILED', 'failed');
      return paused(sandboxId);
    };
    await against({ pauseSandbox }, async (cli) => {
      const { exitCode, stdout } = await cli.run(['sandbox', 'pause', 'a', 'b', 'c']);
      expect(exitCode).to.equal(1);
      expect(stdout).to.equal('a\n');
    });
  });
});

describe('wrenn sandbox resume', () => {
  it('resumes with the memory, or without it when it shall be cold', async () => {
    const modes: ResumeMode[] = [];
    const resumeSandbox = async (_: unknown, { mode }: { mode: ResumeMode }) => {
      modes.push(mode);
      return ResumeSandboxResponse.fromPartial({ steps: [{ name: 'wall_clock', durationMs: 2 }] });
    };
    await against({ resumeSandbox }, async (cli) => {
      expect((await cli.run(['sandbox', 'resume', 'a'])).stdout).to.equal('a\n');
      const cold = await cli.run(['sandbox', 'resume', 'a', '--cold', '--json']);
      expect(JSON.parse(cold.stdout).steps).to.deep.equal([{ name: 'wall_clock', duration_ms: 2 }]);
      expect(modes).to.deep.equal([ResumeMode.RESUME_MODE_WARM, ResumeMode.RESUME_MODE_COLD]);
    });
  });

  it('says how a sandbox with a damaged memory can be had all the same', async () => {
    const damaged = new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', 'damaged');
    const resumeSandbox = async () => {
      throw damaged;
    };
    await against({ resumeSandbox }, async (cli) => {
      const { exitCode, stderr } = await cli.run(['sandbox', 'resume', 'a']);
      expect(exitCode).to.equal(1);
      expect(stderr).to.include('--cold');
    });
  });
});

describe('wrenn sandbox fork', () => {
  const copy: ForkResult = {
    result: { $case: 'sandbox', value: Sandbox.fromPartial({ sandboxId: 'child' }) },
  };
  const failure: ForkResult = {
    result: {
      $case: 'error',
      value: {
        code: Code.RESOURCE_EXHAUSTED,
        reason: ErrorReason.ERROR_REASON_HOST_EXHAUSTED,
        message: 'no memory left',
      },
    },
  };

  it('asks for one copy when no number is given', async () => {
    const forkSandbox = async (_: unknown, { count }: { count: number }) => ({
      results: Array.from({ length: count }, () => copy),
    });
    await against({ forkSandbox }, async (cli) => {
      const forked = await cli.run(['sandbox', 'fork', 'a']);
      expect(forked).to.deep.equal({ exitCode: 0, stdout: 'child\n', stderr: '' });
      const many = await cli.run(['sandbox', 'fork', 'a', '--count', '3']);
      expect(many.stdout).to.equal('child\nchild\nchild\n');
    });
  });

  it('prints the copies, says what failed and why, and ends with 1', async () => {
    const forkSandbox = async () => ({ results: [copy, failure] });
    await against({ forkSandbox }, async (cli) => {
      const { exitCode, stdout, stderr } = await cli.run(['sandbox', 'fork', 'a', '--count', '2']);
      expect(exitCode).to.equal(1);
      expect(stdout).to.equal('child\n');
      expect(stderr).to.include('copy 2').and.include('HOST_EXHAUSTED');

      const json = await cli.run(['sandbox', 'fork', 'a', '--count', '2', '--json']);
      expect(json.exitCode).to.equal(1);
      const { results } = JSON.parse(json.stdout);
      expect(results[0].sandbox.sandbox_id).to.equal('child');
      expect(results[1].error.reason).to.equal('ERROR_REASON_HOST_EXHAUSTED');
    });
  });
});

describe('wrenn sandbox ping and timeout', () => {
  it('ping prints the id of each sandbox', async () => {
    const pingSandbox = async (_: unknown, { sandboxId }: { sandboxId: string }) =>
      Sandbox.fromPartial({ sandboxId });
    await against({ pingSandbox }, async (cli) => {
      expect((await cli.run(['sandbox', 'ping', 'a', 'b'])).stdout).to.equal('a\nb\n');
    });
  });

  it('timeout says what will happen, and when', async () => {
    const actions: TimeoutAction[] = [];
    const setSandboxTimeout: NonNullable<Script['sandboxes']>['setSandboxTimeout'] = async (
      _,
      { sandboxId, timeoutSec, onTimeout },
    ) => {
      actions.push(onTimeout);
      return Sandbox.fromPartial({ sandboxId, timeoutSec, onTimeout });
    };
    await against({ setSandboxTimeout }, async (cli) => {
      const run = async (...args: string[]) =>
        (await cli.run(['sandbox', 'timeout', 'a', ...args])).stdout;
      expect(await run('60', '--on-timeout', 'pause')).to.equal('60 s, then pause\n');
      expect(await run('60', '--on-timeout', 'delete')).to.equal('60 s, then delete\n');
      expect(await run('0')).to.equal('never\n');
      expect(actions).to.deep.equal([
        TimeoutAction.TIMEOUT_ACTION_PAUSE,
        TimeoutAction.TIMEOUT_ACTION_DELETE,
        TimeoutAction.TIMEOUT_ACTION_UNSPECIFIED,
      ]);
    });
  });

  it('create and timeout refuse an action that there is not', async () => {
    await against({}, async (cli) => {
      for (const command of [['create'], ['timeout', 'a', '60']]) {
        const args = ['sandbox', ...command, '--on-timeout', 'explode'];
        const { exitCode, stderr } = await cli.run(args);
        expect(exitCode).to.equal(1);
        expect(stderr).to.include('--on-timeout');
      }
    });
  });
});

describe('wrenn sandbox generations and verify', () => {
  it('generations lists sizes for people, and in bytes for programs', async () => {
    const listGenerations = async () => ({
      generations: [
        Generation.fromPartial({ generationId: 'g0', memoryBytes: 151 * 1024 ** 2 }),
        Generation.fromPartial({ generationId: 'g1', memoryBytes: 4096, diskBytes: 1024 ** 3 }),
      ],
    });
    await against({ listGenerations }, async (cli) => {
      const { stdout } = await cli.run(['sandbox', 'generations', 'a']);
      const [heading, first, second] = stdout.split('\n');
      expect(heading).to.match(/^ID +CREATED +MEMORY +DISK$/);
      expect(first).to.match(/^g0 .* 151 MiB +0 bytes$/);
      expect(second).to.match(/^g1 .* 4\.0 KiB +1\.0 GiB$/);

      const json = JSON.parse((await cli.run(['sandbox', 'generations', 'a', '--json'])).stdout);
      expect(json.generations[1]).to.include({ generation_id: 'g1', memory_bytes: 4096 });
    });
  });

  it('verify says which generation was read, and how much of it', async () => {
    const verifyGeneration = async () =>
      VerifyGenerationResponse.fromPartial({ generationId: 'g1', verifiedBytes: 1024 ** 2 });
    await against({ verifyGeneration }, async (cli) => {
      const { stdout } = await cli.run(['sandbox', 'verify', 'a']);
      expect(stdout).to.include('g1').and.include('1.0 MiB');
    });
  });

  it('verify names what is damaged under --json', async () => {
    const verifyGeneration = async () => {
      throw new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', 'damaged', {
        metadata: { artifact: 'memfile.b1' },
      });
    };
    await against({ verifyGeneration }, async (cli) => {
      const { exitCode, stderr } = await cli.run(['sandbox', 'verify', 'a', '--json']);
      expect(exitCode).to.equal(1);
      const { error } = JSON.parse(stderr);
      expect(error).to.include({ code: 'DATA_LOSS', reason: 'SNAPSHOT_DAMAGED' });
      expect(error.metadata).to.include({ artifact: 'memfile.b1' });
    });
  });
});
