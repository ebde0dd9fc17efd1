/** Programs in a sandbox of a real platform, by the public API. */
import type { WrennClient } from '../../clients/typescript/index.js';

const SCRIPT_TIMEOUT_SEC = 120;
/** How long a program may take to say that it is there; emulated guests are slow. */
const START_TRIES_MAX = 600;

/** Runs a script in the sandbox's shell and returns what it printed. @throws Error when it fails. */
export async function shell(
  client: WrennClient,
  sandboxId: string,
  script: string,
): Promise<string> {
  const { exitCode, stdoutText, stderrText } = await client.exec(sandboxId, {
    cmd: 'sh',
    args: ['-ec', script],
    timeoutSec: SCRIPT_TIMEOUT_SEC,
  });
  if (exitCode !== 0) throw new Error(`the script ended with ${exitCode}: ${stderrText}`);
  return stdoutText;
}

/** The same for a script that prints lines of a name and a value. */
export async function shellRecord(
  client: WrennClient,
  sandboxId: string,
  script: string,
): Promise<Record<string, string>> {
  const lines = (await shell(client, sandboxId, script)).trimEnd().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...value] = line.split(' ');
      return [name, value.join(' ')];
    }),
  );
}

/**
 * Starts a Python program that outlives the call.
 * @param path where the program is kept.
 * @param readyPath a file that the program makes when it is ready.
 */
export async function startPython(
  client: WrennClient,
  sandboxId: string,
  { path, program, readyPath }: { path: string; program: string; readyPath: string },
): Promise<void> {
  await client.files.write(sandboxId, path, Buffer.from(program));
  await shell(
    client,
    sandboxId,
    `setsid python3 ${path} </dev/null >${path}.log 2>&1 &
     tries=0
     until [ -e ${readyPath} ]; do
       tries=$((tries + 1)); [ $tries -lt ${START_TRIES_MAX} ] || { cat ${path}.log >&2; exit 1; }
       sleep 0.1
     done`,
  );
}
