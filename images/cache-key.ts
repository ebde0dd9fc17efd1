/** The key by which a build finds out that an image is already there. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Inputs } from './recipe.js';

/**
 * A hash over a recipe's sources and its inputs, independent of their order.
 * @param sources paths from `root`.
 */
export async function cacheKey(
  root: string,
  sources: readonly string[],
  inputs: Inputs,
): Promise<string> {
  const contents = await Promise.all(
    sources.map(async (path) => [`source ${path}`, await readFile(join(root, path))] as const),
  );
  const values = Object.entries(inputs).map(
    ([name, value]) => [`input ${name}`, Buffer.from(value)] as const,
  );
  const hash = createHash('sha256');
  const parts = [...contents, ...values].sort(([a], [b]) => (a < b ? -1 : 1));
  // Lengths keep the end of one part and the start of the next apart.
  for (const [name, value] of parts) {
    hash.update(`${name.length}:${name}${value.length}:`).update(value);
  }
  return hash.digest('hex');
}
