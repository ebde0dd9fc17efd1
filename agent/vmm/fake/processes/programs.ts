/**
 * The programs that a fake guest has: few, deterministic, and enough to tell
 * output, input, environment, exit codes, endless output, waiting and
 * terminals apart. All but `sha256sum` outlive the restore of a snapshot.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  end,
  ON_INPUT,
  ONWARD,
  type Program,
  type ProgramIo,
  type ProgramState,
  print,
  type Step,
} from './program.js';
import { shell } from './shell.js';

/** Bytes that a program writes in one step. */
const STEP_BYTES = 16 * 1024;
const LINES_A_STEP = 1024;
const MS_PER_SEC = 1000;

export const PROGRAMS: ReadonlyMap<string, Program> = new Map<string, Program>([
  ['true', carried(() => end(0))],
  ['false', carried(() => end(1))],
  ['sync', carried(() => end(0))],
  ['echo', carried(echo)],
  ['cat', carried(cat)],
  ['head', carried(head)],
  ['env', prints(({ env }) => Object.entries(env).map(([name, value]) => `${name}=${value}`))],
  ['pwd', prints(({ cwd }) => [cwd])],
  ['whoami', prints(({ user }) => [user])],
  ['hostname', prints(({ hostname }) => [hostname])],
  ['sha256sum', { step: sha256sum, carried: false }],
  ['sleep', carried(sleep)],
  ['yes', carried(yes)],
  ['seq', carried(seq)],
  ['tick', carried(tick)],
  ['stty', carried(stty)],
  ['sh', carried((io, state) => shell(io, state, PROGRAMS))],
]);

function carried(step: Program['step']): Program {
  return { step, carried: true };
}

function prints(lines: (io: ProgramIo) => string[]): Program {
  return carried((io) => {
    print(io, lines(io));
    return end(0);
  });
}

function fail(io: ProgramIo, line: string): Step {
  print(io, [line], 'stderr');
  return end(1);
}

/** `echo [-n] WORDS…` */
function echo(io: ProgramIo): Step {
  const bare = io.args[0] === '-n';
  const data = Buffer.from(bare ? io.args.slice(1).join(' ') : `${io.args.join(' ')}\n`);
  if (data.length > 0) io.write(data);
  return end(0);
}

/** `cat [FILE…]`: with no file, or `-`, its input as it comes. */
function cat(io: ProgramIo, state: ProgramState): Step {
  const paths = io.args.length > 0 ? io.args : ['-'];
  const { index = 0, offset = 0, exitCode = 0 } = state as Record<string, number>;
  const path = paths[index];
  if (path === undefined) return end(exitCode);
  if (path === '-') {
    const data = io.read(STEP_BYTES);
    if (data) io.write(data);
    else if (!io.inputEnded()) return ON_INPUT;
    else Object.assign(state, { index: index + 1 });
    return ONWARD;
  }
  const content = io.readFile(path);
  if (!content) print(io, [`cat: ${path}: No such file or directory`], 'stderr');
  if (content && offset < content.length) {
    io.write(content.subarray(offset, offset + STEP_BYTES));
    Object.assign(state, { offset: offset + STEP_BYTES });
  } else {
    Object.assign(state, { index: index + 1, offset: 0, exitCode: content ? exitCode : 1 });
  }
  return ONWARD;
}

/** `head -c BYTES`: as much of its input, and no more. */
function head(io: ProgramIo, state: ProgramState): Step {
  const wanted = Number(io.args[1]);
  if (io.args[0] !== '-c' || !Number.isSafeInteger(wanted) || wanted < 0) {
    return fail(io, 'head: only -c BYTES is known here');
  }
  const { left = wanted } = state as Record<string, number>;
  if (left === 0) return end(0);
  const data = io.read(Math.min(left, STEP_BYTES));
  if (!data) return io.inputEnded() ? end(0) : ON_INPUT;
  io.write(data);
  state.left = left - data.length;
  return ONWARD;
}

/** A hash under way cannot be written down. */
const HASHES = new WeakMap<ProgramState, Hash>();

function sha256sum(io: ProgramIo, state: ProgramState): Step {
  const hash = HASHES.get(state) ?? createHash('sha256');
  HASHES.set(state, hash);
  const data = io.read();
  if (data) {
    hash.update(data);
    return ONWARD;
  }
  if (!io.inputEnded()) return ON_INPUT;
  print(io, [`${hash.digest('hex')}  -`]);
  return end(0);
}

/** `sleep SECONDS` of the guest's time. */
function sleep(io: ProgramIo, state: ProgramState): Step {
  const durationMs = Number(io.args[0]) * MS_PER_SEC;
  if (!(durationMs >= 0)) return fail(io, 'sleep: invalid time interval');
  const { atMs = io.nowMs + durationMs } = state as Record<string, number>;
  state.atMs = atMs;
  return io.nowMs >= atMs ? end(0) : { after: 'time', atMs };
}

/** `yes [WORDS…]`: the same line for ever. */
function yes(io: ProgramIo): Step {
  const line = `${io.args.join(' ') || 'y'}\n`;
  io.write(Buffer.from(line.repeat(Math.ceil(STEP_BYTES / line.length))));
  return ONWARD;
}

/** `seq LAST`: the numbers from 1, a line each. */
function seq(io: ProgramIo, state: ProgramState): Step {
  const last = Number(io.args[0]);
  if (!Number.isSafeInteger(last)) return fail(io, 'seq: invalid number');
  const { next = 1 } = state as Record<string, number>;
  const length = Math.max(0, Math.min(LINES_A_STEP, last - next + 1));
  print(
    io,
    Array.from({ length }, (_, index) => String(next + index)),
  );
  state.next = next + length;
  return next + length > last ? end(0) : ONWARD;
}

/** `tick MS [LAST]`: a line `tick N` each so many milliseconds of the guest's time. */
function tick(io: ProgramIo, state: ProgramState): Step {
  const [periodMs = 0, last = Number.POSITIVE_INFINITY] = io.args.map(Number);
  if (!(periodMs > 0)) return fail(io, 'tick: invalid time interval');
  const { count = 0, atMs = io.nowMs + periodMs } = state as Record<string, number>;
  state.atMs = atMs;
  if (count >= last) return end(0);
  if (io.nowMs < atMs) return { after: 'time', atMs };
  print(io, [`tick ${count + 1}`]);
  Object.assign(state, { count: count + 1, atMs: atMs + periodMs });
  return ONWARD;
}

/** `stty size`: rows and columns of the terminal. */
function stty(io: ProgramIo): Step {
  if (!io.terminal) return fail(io, "stty: 'standard input': Inappropriate ioctl for device");
  print(io, [`${io.terminal.rows} ${io.terminal.cols}`]);
  return end(0);
}
