/** The examples of the Go client, as clients/go/README.md runs them. Go keeps what it has built. */
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import { type RunResult, run } from '../../lib/process/run.js';

/** Go downloads and compiles at the first time; a test that calls `runGoExample` must allow this much. */
export const GO_RUN_TIMEOUT_MS = 10 * 60_000;

/**
 * Runs one of `examples/`. The caller has checked the need `go`.
 * @param environment over this process's: the address and the key.
 */
export async function runGoExample(
  name: 'hello' | 'freeze' | 'stream',
  environment: NodeJS.ProcessEnv,
): Promise<RunResult> {
  return await run('go', ['run', `./examples/${name}`], {
    cwd: join(packageRoot(), 'clients', 'go'),
    env: { ...process.env, ...environment },
    timeoutMs: GO_RUN_TIMEOUT_MS,
  });
}
