/** The guest daemon as one file that Node runs without anything beside it. */
import { join } from 'node:path';
import { build } from 'esbuild';
import { packageRoot } from '../../lib/files/package-root.js';
import { explain, requirement } from '../failure.js';

const ENTRY = 'envd/main.ts';
/** The oldest Node that Wrenn runs on; the bundle may use nothing newer. */
const TARGET = 'node20.19';

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
      // Half the text to read and scan in the guest; names stay for messages and stacks.
      minify: true,
      keepNames: true,
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
