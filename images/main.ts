/** `node dist/images/main.js`: installs the Debian packages that are missing and builds the images. */
import { WrennError } from '../lib/errors/index.js';
import { formatManifest } from '../lib/images/manifest.js';
import { RunError } from '../lib/process/run.js';
import { buildImages } from './build.js';
import { readConfig } from './config.js';
import { ensureHostPackages } from './packages.js';
import { createProgress } from './progress.js';

/** Lines of a failed program's own words that are shown below the sentence. */
const SHOWN_LINES_MAX = 12;

try {
  await main();
} catch (error) {
  console.error(describe(error));
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2));
  // With --json standard output is the manifest alone.
  const screen = config.json ? process.stderr : process.stdout;
  await ensureHostPackages((line) => screen.write(`${line}\n`));
  const progress = createProgress(screen);
  try {
    const manifest = await buildImages({ ...config, progress });
    progress.close();
    if (config.json) process.stdout.write(formatManifest(manifest, config.imagesDirectory));
    else screen.write(`the images are in ${config.imagesDirectory}\n`);
  } finally {
    progress.close();
  }
}

function describe(error: unknown): string {
  if (!(error instanceof WrennError)) return error instanceof Error ? `${error.stack}` : `${error}`;
  const { cause } = error;
  if (!(cause instanceof RunError)) return error.message;
  const lines = (cause.stderr.trim() || cause.stdout.trim()).split('\n').slice(-SHOWN_LINES_MAX);
  return [error.message, ...lines.map((line) => `    ${line}`)].join('\n');
}
