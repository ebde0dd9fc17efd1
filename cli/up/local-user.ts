/**
 * The user that the first `wrenn up` makes, so that what it prints can be
 * copied. Its credentials stand in the state folder, and in the store of the
 * command line.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Session, WrennApiError, WrennClient } from '../../clients/typescript/index.js';
import { writeFileAtomic } from '../../lib/files/atomic-write.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { CredentialStore } from '../credentials.js';

/** Domain of the addresses of local users, which nobody else has. */
const LOCAL_DOMAIN = '@localhost.localdomain';
const FILE_NAME = 'local-user.json';
const PASSWORD_BYTES = 24;
const EMAIL_ID_LENGTH = 10;

interface LocalUser {
  email: string;
  password: string;
  apiKey?: string;
  apiKeyId?: string;
}

/**
 * Signs the local user up, or logs it in, and makes sure that it has a key.
 * @returns the API key.
 */
export async function ensureLocalUser(
  stateDirectory: string,
  address: string,
  store: CredentialStore,
): Promise<string> {
  const path = join(stateDirectory, FILE_NAME);
  const user = await readOrMakeUser(path);
  const session = await signIn(address, user);
  const { apiKey, apiKeyId } = await ensureKey(address, session, user);
  await save(path, { ...user, apiKey, apiKeyId });
  await remember(store, address, { session, apiKey, apiKeyId });
  return apiKey;
}

export function isLocalUser(email: string | undefined): boolean {
  return email?.endsWith(LOCAL_DOMAIN) ?? false;
}

/** The stored API key, if there is one. */
export async function readLocalKey(stateDirectory: string): Promise<string | undefined> {
  return (await readUser(join(stateDirectory, FILE_NAME)))?.apiKey;
}

async function readOrMakeUser(path: string): Promise<LocalUser> {
  const found = await readUser(path);
  if (found) return found;
  // Of its own, since an external database may hold the local user of another state folder.
  const email = `local-${randomId(EMAIL_ID_LENGTH)}${LOCAL_DOMAIN}`;
  const user = { email, password: randomBytes(PASSWORD_BYTES).toString('base64url') };
  // Before the signup: a user whose password is lost could never log in again.
  await save(path, user);
  return user;
}

async function readUser(path: string): Promise<LocalUser | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LocalUser;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function save(path: string, user: LocalUser): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(user, null, 2)}\n`, 0o600);
}

/** A database that has been replaced does not know the user; it is then signed up anew. */
async function signIn(address: string, { email, password }: LocalUser): Promise<Session> {
  using client = new WrennClient({ address });
  try {
    return await client.auth.logIn({ email, password });
  } catch (error) {
    if (!(error instanceof WrennApiError) || error.reason !== 'LOGIN_FAILED') throw error;
    return await client.auth.signUp({ email, password, name: 'local' });
  }
}

async function ensureKey(
  address: string,
  { accessToken }: Session,
  { apiKey, apiKeyId = '' }: LocalUser,
): Promise<{ apiKey: string; apiKeyId: string }> {
  if (apiKey && (await isAccepted(address, apiKey))) return { apiKey, apiKeyId };
  using client = new WrennClient({ address, accessToken });
  const created = await client.apiKeys.create('local');
  return { apiKey: created.key, apiKeyId: created.apiKey?.apiKeyId ?? '' };
}

async function isAccepted(address: string, apiKey: string): Promise<boolean> {
  using client = new WrennClient({ address, apiKey });
  try {
    await client.sandboxes.listPage({ pageSize: 1 });
    return true;
  } catch (error) {
    if (error instanceof WrennApiError && error.reason === 'CREDENTIAL_INVALID') return false;
    throw error;
  }
}

/** What a person has logged in as goes before the local user. */
async function remember(
  store: CredentialStore,
  address: string,
  { session, apiKey, apiKeyId }: { session: Session; apiKey: string; apiKeyId: string },
): Promise<void> {
  const stored = await store.read(address);
  if (stored.email !== undefined && !isLocalUser(stored.email)) return;
  const { accessToken, user } = session;
  await store.update(address, { email: user?.email, accessToken, apiKey, apiKeyId });
}
