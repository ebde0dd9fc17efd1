/** Where the images are built, from the command line and the environment. */
import { parseArgs } from 'node:util';
import { Environment } from '../lib/config/environment.js';
import { requirement } from './failure.js';

export const CACHE_DIRECTORY_FALLBACK = '/var/cache/wrenn';
export const IMAGES_DIRECTORY_FALLBACK = '/var/lib/wrenn/images';

export interface ImagesConfig {
  imagesDirectory: string;
  cacheDirectory: string;
  /** Whether every image is made anew, with Debian's newest packages. */
  refresh: boolean;
  /** Whether the manifest is printed as JSON when all is done. */
  json: boolean;
}

/**
 * Reads `[--images-dir D] [--cache-dir D] [--refresh] [--json]` and WRENN_IMAGES_DIR.
 * @throws WrennError HOST_REQUIREMENT for an argument that it does not know.
 */
export function readConfig(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): ImagesConfig {
  const values = parse(args);
  const fallback = new Environment(environment).string(
    'WRENN_IMAGES_DIR',
    IMAGES_DIRECTORY_FALLBACK,
  );
  return {
    imagesDirectory: values['images-dir'] ?? fallback,
    cacheDirectory: values['cache-dir'] ?? CACHE_DIRECTORY_FALLBACK,
    refresh: values.refresh ?? false,
    json: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        'images-dir': { type: 'string' },
        'cache-dir': { type: 'string' },
        refresh: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw requirement(
      'usage: main.js [--images-dir FOLDER] [--cache-dir FOLDER] [--refresh] [--json]',
      error,
    );
  }
}
