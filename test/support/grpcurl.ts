/** The real grpcurl at a pinned version, built once by Go into a cache. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RunError, run } from '../../lib/process/run.js';

const GRPCURL_VERSION = 'v1.9.3';
const GRPCURL_TIMEOUT_MS = 30_000;
/** Go downloads and compiles; a hook that calls `installGrpcurl` must allow this much. */
export const GRPCURL_INSTALL_TIMEOUT_MS = 10 * 60_000;

export interface GrpcurlResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export type Grpcurl = (...args: string[]) => Promise<GrpcurlResult>;

/** Makes grpcurl usable, building it when the cache has none. The caller has checked the need `go`. */
export async function installGrpcurl(): Promise<Grpcurl> {
  const program = await installGrpcurlProgram();
  return async (...args) => {
    try {
      const { stdout, stderr } = await run(program, args, { timeoutMs: GRPCURL_TIMEOUT_MS });
      return { exitCode: 0, stdout, stderr };
    } catch (error) {
      if (!(error instanceof RunError) || error.exitCode === null) throw error;
      return { exitCode: error.exitCode, stdout: error.stdout, stderr: error.stderr };
    }
  };
}

/** The same, for who runs it in a way of his own: the path of a program named `grpcurl`. */
export async function installGrpcurlProgram(): Promise<string> {
  const program = join(cacheDirectory(), 'grpcurl');
  if (!existsSync(program)) await build(program);
  return program;
}

/** Builds beside the cache's place and moves, so that nobody runs half a program. */
async function build(program: string): Promise<void> {
  await mkdir(cacheDirectory(), { recursive: true });
  const directory = await mkdtemp(join(cacheDirectory(), 'build-'));
  try {
    const module = `github.com/fullstorydev/grpcurl/cmd/grpcurl@${GRPCURL_VERSION}`;
    await run('go', ['install', module], {
      env: { ...process.env, GOBIN: directory },
      timeoutMs: GRPCURL_INSTALL_TIMEOUT_MS,
    });
    await rename(join(directory, 'grpcurl'), program);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function cacheDirectory(): string {
  const root = process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache');
  return join(root, 'wrenn', 'grpcurl', GRPCURL_VERSION);
}
