/** The secret that signs access tokens: given by the operator, or made once and kept in a file. */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Code, WrennError } from '../../lib/errors/index.js';
import { syncDirectory } from '../../lib/files/atomic-write.js';
import { randomId } from '../../lib/ids/random-id.js';

/** HS256 wants a secret of at least the size of its hash. */
export const SECRET_CHARACTERS_MIN = 32;
const GENERATED_BYTES = 48;

/**
 * @param given the operator's secret, or undefined to use the file.
 * @throws WrennError for a secret that is too short.
 */
export async function loadJwtSecret(given: string | undefined, path: string): Promise<KeyObject> {
  const secret = given ?? (await readSecret(path)) ?? (await makeSecret(path));
  if (secret.length < SECRET_CHARACTERS_MIN) {
    throw new WrennError(
      Code.INVALID_ARGUMENT,
      'INVALID_REQUEST',
      `${given === undefined ? path : 'WRENN_JWT_SECRET'} must hold at least ${SECRET_CHARACTERS_MIN} characters`,
      { metadata: { setting: 'WRENN_JWT_SECRET' } },
    );
  }
  return createSecretKey(Buffer.from(secret, 'utf8'));
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of two that make it at the same time one wins, and both use the winner's. */
async function makeSecret(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomId()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(GENERATED_BYTES).toString('base64url')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(dirname(path));
  return (await readSecret(path)) ?? '';
}
