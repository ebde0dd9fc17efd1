/**
 * The programs that a fake guest has: few, deterministic, and enough to tell
 * output, input, environment, exit codes, endless output and waiting apart.
 */
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';

export interface ProgramInput {
  args: string[];
  env: Record<string, string>;
  cwd: string;
  user: string;
  stdin: Buffer;
  hostname: string;
  /** Reads a file of the guest; undefined when there is none. */
  readFile: (path: string) => Buffer | undefined;
  /** Aborts when the program is killed. */
  killed: AbortSignal;
}

export type ProgramOutput = { stream: 'stdout' | 'stderr'; data: Buffer };

/** Yields output, returns the exit code. */
export type Program = (input: ProgramInput) => AsyncGenerator<ProgramOutput, number, void>;

const YES_CHUNK_LINES = 4096;
/** Longest time that a Node timer can hold. */
const SLEEP_MS_MAX = 2 ** 31 - 1;

export const PROGRAMS: ReadonlyMap<string, Program> = new Map<string, Program>([
  ['true', exits(0)],
  ['false', exits(1)],
  ['echo', echo],
  ['cat', cat],
  ['env', ({ env }) => print(Object.entries(env).map(([name, value]) => `${name}=${value}`))],
  ['pwd', ({ cwd }) => print([cwd])],
  ['whoami', ({ user }) => print([user])],
  ['hostname', ({ hostname }) => print([hostname])],
  ['sha256sum', ({ stdin }) => print([`${createHash('sha256').update(stdin).digest('hex')}  -`])],
  ['sleep', sleep],
  ['sync', exits(0)],
  ['yes', yes],
  ['sh', shell],
]);

function exits(code: number): Program {
  return () => print([], 'stdout', code);
}

async function* print(
  lines: string[],
  stream: ProgramOutput['stream'] = 'stdout',
  exitCode = 0,
): AsyncGenerator<ProgramOutput, number, void> {
  const data = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  if (data.length > 0) yield { stream, data };
  return exitCode;
}

function echo({ args }: ProgramInput) {
  return print([args.join(' ')]);
}

async function* cat(input: ProgramInput): AsyncGenerator<ProgramOutput, number, void> {
  let exitCode = 0;
  for (const path of input.args.length > 0 ? input.args : ['-']) {
    const data = path === '-' ? input.stdin : input.readFile(path);
    if (data) yield { stream: 'stdout', data };
    else exitCode = yield* print([`cat: ${path}: No such file or directory`], 'stderr', 1);
  }
  return exitCode;
}

async function* sleep({ args, killed }: ProgramInput): AsyncGenerator<ProgramOutput, number, void> {
  const durationMs = Number(args[0]) * 1000;
  if (!(durationMs >= 0)) return yield* print(['sleep: invalid time interval'], 'stderr', 1);
  await setTimeout(Math.min(durationMs, SLEEP_MS_MAX), undefined, { signal: killed });
  return 0;
}

async function* yes({ args }: ProgramInput): AsyncGenerator<ProgramOutput, number, void> {
  const data = Buffer.from(`${args.join(' ') || 'y'}\n`.repeat(YES_CHUNK_LINES));
  for (;;) yield { stream: 'stdout', data };
}

/** `sh -c`: commands with `;` between them, `exit N`, and `>&2` at the end of a command. */
async function* shell(input: ProgramInput): AsyncGenerator<ProgramOutput, number, void> {
  const [option, script = ''] = input.args;
  if (option !== '-c') return yield* print(['sh: only -c is known here'], 'stderr', 2);
  let exitCode = 0;
  for (const command of script.split(';')) {
    const [name, ...args] = command.replace(/>&2\s*$/, '').match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
    if (name === undefined) continue;
    const words = args.map((word) => word.replace(/^(['"])(.*)\1$/s, '$2'));
    if (name === 'exit') return words[0] === undefined ? exitCode : Number(words[0]) & 0xff;
    const toStderr = /(^|\s)>&2\s*$/.test(command);
    exitCode = yield* redirect(runNamed(name, { ...input, args: words }), toStderr);
  }
  return exitCode;
}

function runNamed(name: string, input: ProgramInput) {
  const program = PROGRAMS.get(name);
  return program ? program(input) : print([`sh: 1: ${name}: not found`], 'stderr', 127);
}

async function* redirect(
  output: AsyncGenerator<ProgramOutput, number, void>,
  toStderr: boolean,
): AsyncGenerator<ProgramOutput, number, void> {
  for (;;) {
    const { done, value } = await output.next();
    if (done) return value;
    yield toStderr ? { ...value, stream: 'stderr' } : value;
  }
}
