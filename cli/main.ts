/** The `wrenn` command: runs the arguments of the process and ends with its exit code. */
import { loadEnvironment } from './config.js';
import { setRawOutput } from './process/raw-output.js';
import { runCli } from './run.js';

// `wrenn sandbox ls | head` closes the pipe early, which is no fault. A command
// that listens itself has something to do before it ends.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (process.stdout.listenerCount('error') === 1) process.exit();
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: loadEnvironment(),
  setRawOutput,
  signals: process,
});
