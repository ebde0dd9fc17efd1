/** Runs a fake program with the real contract's events: started, output, exited. */
import { setImmediate } from 'node:timers/promises';
import type { StartRequest, StartResponse } from '../../../gen/ts/wrenn/envd/v1/process.js';
import { guestFailure } from '../../../lib/guest/guest-failure.js';
import { PROGRAMS, type Program, type ProgramInput } from './programs.js';

/** Users of a fake guest. */
export const USERS: ReadonlySet<string> = new Set(['root', 'nobody']);
const KILLED_EXIT_CODE = 137;
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export interface FakeGuestState {
  hostname: string;
  env: Record<string, string>;
  files: Map<string, Buffer>;
}

let pids = 100;

/** @param signal aborts when the caller goes away; the program is killed then. */
export async function* runFakeProgram(
  guest: FakeGuestState,
  request: StartRequest,
  signal: AbortSignal,
): AsyncGenerator<StartResponse, void, void> {
  const program = PROGRAMS.get(request.cmd.replace(/^\/(usr\/)?bin\//, ''));
  if (!USERS.has(request.user || 'root')) throw guestFailure('program_user_unknown');
  if (!program) throw guestFailure('program_not_found');
  const startedAt = performance.now();
  const kill = new AbortController();
  const timer =
    request.timeoutMs > 0
      ? setTimeout(() => kill.abort(), Math.min(request.timeoutMs, TIMEOUT_MS_MAX))
      : undefined;
  const killed = AbortSignal.any([signal, kill.signal]);
  try {
    yield { event: { $case: 'started', value: { pid: ++pids } } };
    const exitCode = yield* copyOutput(program(toInput(guest, request, killed)), killed);
    const durationMs = performance.now() - startedAt;
    const ended = { exitCode, signal: killed.aborted ? 'SIGKILL' : '' };
    const value = { ...ended, timedOut: kill.signal.aborted, durationMs };
    yield { event: { $case: 'exited', value } };
  } finally {
    clearTimeout(timer);
  }
}

async function* copyOutput(
  output: ReturnType<Program>,
  killed: AbortSignal,
): AsyncGenerator<StartResponse, number, void> {
  try {
    for (;;) {
      const { done, value } = await output.next();
      if (killed.aborted) return KILLED_EXIT_CODE;
      if (done) return value;
      yield { event: { $case: value.stream, value: value.data } };
      // Endless output must leave time for the timer that ends it.
      await setImmediate();
    }
  } catch (error) {
    if (killed.aborted) return KILLED_EXIT_CODE;
    throw error;
  }
}

function toInput(guest: FakeGuestState, request: StartRequest, killed: AbortSignal): ProgramInput {
  const user = request.user || 'root';
  const home = user === 'root' ? '/root' : '/';
  const { args, stdin } = request;
  return {
    args,
    stdin,
    user,
    killed,
    cwd: request.cwd || home,
    env: { HOME: home, USER: user, PATH: '/usr/bin:/bin', ...guest.env, ...request.env },
    hostname: guest.hostname,
    readFile: (path) => guest.files.get(path),
  };
}
