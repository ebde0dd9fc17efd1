/**
 * Rate of the host's time stamp counter. A guest's kernel is told it, since on
 * nested and noisy hosts it cannot find it out by itself and hangs.
 */
import { join } from 'node:path';
import { Code, WrennError } from '../../lib/errors/index.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import { oncePerBoot } from './boot-cache.js';

const FILE_NAME = 'tsc-khz.json';
const PROGRAM_TIMEOUT_MS = 30_000;

/**
 * The rate in kHz, measured once for each boot of the host.
 * @throws WrennError HOST_REQUIREMENT when it cannot be measured.
 */
export async function readTscKhz(
  stateDirectory: string,
  programPath = join(packageRoot(), 'native', 'host', 'build', 'tsc-khz'),
): Promise<number> {
  return oncePerBoot(join(stateDirectory, FILE_NAME), 'tsc-khz', isRate, async () => {
    const rate = Number(await output(programPath));
    if (!isRate(rate)) throw notMeasured('it printed no number');
    return rate;
  });
}

async function output(programPath: string): Promise<string> {
  try {
    return (await run(programPath, [], { timeoutMs: PROGRAM_TIMEOUT_MS })).stdout;
  } catch (error) {
    throw notMeasured(error);
  }
}

function isRate(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function notMeasured(cause: unknown): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    "the rate of this machine's time stamp counter could not be measured: build the program for it with `make -C native/host`",
    { cause },
  );
}
