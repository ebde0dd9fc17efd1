/** `sh -c` of a fake guest: commands with `;` between them, `exit N`, and `>&2` at the end of a command. */
import {
  end,
  ONWARD,
  type Program,
  type ProgramIo,
  type ProgramState,
  print,
  type Step,
} from './program.js';

const NOT_FOUND_EXIT_CODE = 127;

interface Command {
  name: string | undefined;
  args: string[];
  toStderr: boolean;
}

export function shell(
  io: ProgramIo,
  state: ProgramState,
  programs: ReadonlyMap<string, Program>,
): Step {
  const [option, script = ''] = io.args;
  if (option !== '-c') {
    print(io, ['sh: only -c is known here'], 'stderr');
    return end(2);
  }
  const { index = 0, exitCode = 0 } = state as Record<string, number>;
  const text = script.split(';')[index];
  if (text === undefined) return end(exitCode);
  const command = parse(text);
  if (command.name === 'exit') {
    return end(command.args[0] === undefined ? exitCode : Number(command.args[0]) & 0xff);
  }
  state.inner ??= {};
  const step = runCommand(command, io, state.inner as ProgramState, programs);
  if (step.after !== 'end') return step;
  Object.assign(state, { index: index + 1, inner: {} });
  // A line without a command leaves the exit code as it is.
  if (command.name !== undefined) state.exitCode = step.exitCode;
  return ONWARD;
}

function parse(text: string): Command {
  const toStderr = /(^|\s)>&2\s*$/.test(text);
  const words = text.replace(/>&2\s*$/, '').match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  const [name, ...args] = words.map((word) => word.replace(/^(['"])(.*)\1$/s, '$2'));
  return { name, args, toStderr };
}

function runCommand(
  { name, args, toStderr }: Command,
  io: ProgramIo,
  state: ProgramState,
  programs: ReadonlyMap<string, Program>,
): Step {
  if (name === undefined) return end(0);
  const program = programs.get(name);
  // What runs in a shell is carried with it.
  if (!program?.carried) {
    print(io, [`sh: 1: ${name}: not found`], 'stderr');
    return end(NOT_FOUND_EXIT_CODE);
  }
  const write: ProgramIo['write'] = (data, output) => io.write(data, toStderr ? 'stderr' : output);
  return program.step({ ...io, args, write }, state);
}
