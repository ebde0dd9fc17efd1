/** What a user does with Wrenn, once through its public API. */
import { randomBytes } from 'node:crypto';
import { WrennClient } from '../../clients/typescript/index.js';
import { CliError } from '../failure.js';
import { takeFreezeTour } from './freeze-tour.js';
import type { Steps } from './steps.js';

const NOTE_PATH = '/root/note.txt';
const NOTE = 'written from the host\n';
const PROGRAM = `
import platform
primes = [n for n in range(2, 10_000) if all(n % d for d in range(2, int(n ** 0.5) + 1))]
print(f"Python {platform.python_version()} on Linux {platform.release()}")
print(f"{len(primes)} primes below 10000, the largest {primes[-1]}, their sum {sum(primes)}")
`;

/** @throws WrennApiError or CliError when a step does not do what it should. */
export async function takeTour(address: string, steps: Steps, signal: AbortSignal): Promise<void> {
  const apiKey = await makeKey(address, steps, signal);
  using client = new WrennClient({ address, apiKey });

  const sandboxId = await createTwice(client, steps, signal);
  await runPython(client, sandboxId, steps, signal);
  await passFileThrough(client, sandboxId, steps, signal);
  await takeFreezeTour(client, sandboxId, steps, signal);

  await steps.run('delete the sandbox', () => client.sandboxes.delete(sandboxId, { signal }));
  steps.summarize();
}

async function makeKey(address: string, steps: Steps, signal: AbortSignal): Promise<string> {
  using visitor = new WrennClient({ address });
  const { accessToken } = await steps.run('sign a user up', () => {
    // A demo that was killed may have left its user behind.
    const id = randomBytes(4).toString('hex');
    const password = randomBytes(16).toString('base64url');
    return visitor.auth.signUp({ email: `demo-${id}@example.com`, password }, { signal });
  });
  using user = new WrennClient({ address, accessToken });
  const { key } = await steps.run('make an API key', () => user.apiKeys.create('demo', { signal }));
  return key;
}

/** The first sandbox of a kind boots, and leaves a warm snapshot behind; the others start from that. */
async function createTwice(
  client: WrennClient,
  steps: Steps,
  signal: AbortSignal,
): Promise<string> {
  const create = () => client.sandboxes.create({ template: 'minimal' }, { signal });
  const first = await steps.run(
    'create a sandbox: the first boots, once for all',
    create,
    'create, the first of its kind: boots and keeps that warm',
  );
  const second = await steps.run(
    'create another one, from the warm template',
    create,
    'create from the warm template',
  );
  steps.show(`sandboxes ${first.sandboxId} and ${second.sandboxId}`);
  await steps.run('delete the first', () => client.sandboxes.delete(first.sandboxId, { signal }));
  return second.sandboxId;
}

async function runPython(
  client: WrennClient,
  sandboxId: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  const result = await steps.run(
    'run a Python program in the other',
    () => client.exec(sandboxId, { cmd: 'python3', args: ['-c', PROGRAM] }, { signal }),
    'run a Python program',
  );
  if (result.exitCode !== 0) {
    throw new CliError(`Python ended with ${result.exitCode}: ${result.stderrText}`);
  }
  steps.show(result.stdoutText);
}

async function passFileThrough(
  client: WrennClient,
  sandboxId: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  await steps.run('write a file', () =>
    client.files.write(sandboxId, NOTE_PATH, NOTE, {}, { signal }),
  );
  const content = await steps.run('read it back', () =>
    client.files.read(sandboxId, NOTE_PATH, { signal }),
  );
  if (content.toString() !== NOTE)
    throw new CliError(`${NOTE_PATH} does not hold what was written`);
  steps.show(`${NOTE_PATH}: ${content}`);
}
