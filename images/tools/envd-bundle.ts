/** The guest daemon as one file that Node runs without anything beside it, and its compiled form. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { packageRoot } from '../../lib/files/package-root.js';
import { explain, requirement, runStep } from '../failure.js';

const ENTRY = 'envd/main.ts';
/** The oldest Node that Wrenn runs on; the bundle may use nothing newer. */
const TARGET = 'node20.19';
const COMPILER_PATH = 'images/tools/compile-envd.cjs';
const COMPILE_TIMEOUT_MS = 60_000;
/** The daemon may have left a program behind that still makes files. */
const REMOVE_RETRIES_MAX = 5;

/** Source files that decide what comes out of here, beside envd's own. */
export const ENVD_SOURCES = ['images/tools/envd-bundle.ts', COMPILER_PATH];

export interface CompileRequest {
  /** The Node that will run it: another version does not take the compiled form. */
  nodePath: string;
  bundlePath: string;
  target: string;
  /** Static busybox for the daemon, which is started once. */
  busyboxPath: string;
  /** wrenn-guest, likewise. */
  helperPath: string;
}

/** @throws WrennError HOST_REQUIREMENT when the sources do not bundle. */
export async function bundleEnvd(): Promise<Buffer> {
  try {
    const { outputFiles } = await build({
      absWorkingDir: packageRoot(),
      entryPoints: [join(packageRoot(), ENTRY)],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: TARGET,
      legalComments: 'none',
      write: false,
      logLevel: 'silent',
    });
    const [bundle] = outputFiles;
    if (!bundle) throw requirement('bundling envd gave no file');
    return Buffer.from(bundle.contents);
  } catch (error) {
    throw explain('bundling envd', error);
  }
}

/** Writes the compiled form of what the daemon's start needs; envd-loader.cjs says what for. */
export async function compileEnvd(request: CompileRequest): Promise<void> {
  const { nodePath, bundlePath, target, busyboxPath, helperPath } = request;
  const runDirectory = await mkdtemp(join(tmpdir(), 'wrenn-compile-'));
  try {
    await runStep(
      'compiling envd',
      nodePath,
      [
        ...[join(packageRoot(), COMPILER_PATH), bundlePath, target],
        ...['--host=127.0.0.1', '--port=0'],
        ...[`--run-directory=${runDirectory}`, `--busybox=${busyboxPath}`],
        `--helper=${helperPath}`,
      ],
      { timeoutMs: COMPILE_TIMEOUT_MS },
    );
  } finally {
    await rm(runDirectory, { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX });
  }
}
