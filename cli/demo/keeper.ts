/**
 * A program in a sandbox that keeps a variable in its memory and nowhere else:
 * it goes on where it was only if the memory came back.
 */
import type { WrennClient } from '../../clients/typescript/index.js';
import { CliError } from '../failure.js';

const PROGRAM_PATH = '/root/keeper.py';
const SOCKET_PATH = '/run/keeper.sock';
const START_TIMEOUT_SEC = 60;

/** Answers each connection with its word and with how often it has been asked. */
const KEEPER = `
import socket, sys

word, asked = sys.argv[1], 0
server = socket.socket(socket.AF_UNIX)
server.bind("${SOCKET_PATH}")
server.listen()
while True:
    connection, _ = server.accept()
    asked += 1
    connection.sendall(f"{word} {asked}".encode())
    connection.close()
`;

const ASK = `
import socket

connection = socket.socket(socket.AF_UNIX)
connection.connect("${SOCKET_PATH}")
print(connection.makefile().read(), end="")
`;

/** It gets a session of its own, so that it outlives the call that starts it. */
const START = `
setsid python3 ${PROGRAM_PATH} "$1" </dev/null >/dev/null 2>&1 &
until [ -S ${SOCKET_PATH} ]; do sleep 0.1; done
`;

/** What the program answers. */
export interface Kept {
  word: string;
  /** How often it has been asked, this time included. */
  asked: number;
}

/** Starts the program. */
export async function startKeeper(
  client: WrennClient,
  sandboxId: string,
  word: string,
  signal: AbortSignal,
): Promise<void> {
  await client.files.write(sandboxId, PROGRAM_PATH, KEEPER, {}, { signal });
  const args = ['-c', START, 'start', word];
  await runProgram(client, sandboxId, { cmd: 'sh', args, timeoutSec: START_TIMEOUT_SEC }, signal);
}

/** Asks the program for its variable. */
export async function askKeeper(
  client: WrennClient,
  sandboxId: string,
  signal: AbortSignal,
): Promise<Kept> {
  const command = { cmd: 'python3', args: ['-c', ASK] };
  const answer = await runProgram(client, sandboxId, command, signal);
  const [word = '', asked = ''] = answer.split(' ');
  return { word, asked: Number(asked) };
}

/** @throws CliError when the program answers anything else. */
export function requireKept(kept: Kept, expected: Kept): void {
  if (kept.word === expected.word && kept.asked === expected.asked) return;
  throw new CliError(
    `the program should have ${JSON.stringify(expected)}, and has ${JSON.stringify(kept)}`,
  );
}

async function runProgram(
  client: WrennClient,
  sandboxId: string,
  command: { cmd: string; args: string[]; timeoutSec?: number },
  signal: AbortSignal,
): Promise<string> {
  const result = await client.exec(sandboxId, command, { signal });
  if (result.exitCode === 0) return result.stdoutText;
  throw new CliError(`${command.cmd} ended with ${result.exitCode}: ${result.stderrText}`);
}
