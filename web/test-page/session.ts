/**
 * Who uses the page. Access token and API key are kept in sessionStorage, so a
 * reload keeps them and the end of the tab forgets them; they are never put in
 * an address.
 */

const STORAGE_KEY = 'wrenn.test-page.session';

export interface Credentials {
  email: string;
  accessToken: string;
  apiKey: string;
}

const NOBODY: Credentials = { email: '', accessToken: '', apiKey: '' };
const listeners: (() => void)[] = [];
let credentials: Credentials = { ...NOBODY, ...stored() };

export function current(): Readonly<Credentials> {
  return credentials;
}

/** Changes some credentials, keeps the others, and tells all listeners. */
export function change(changes: Partial<Credentials>): void {
  credentials = { ...credentials, ...changes };
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(credentials));
  for (const listener of listeners) listener();
}

/** Forgets all credentials: access tokens have no life on the server that could be ended. */
export function forget(): void {
  change(NOBODY);
  sessionStorage.removeItem(STORAGE_KEY);
}

/** Calls the listener now and after every change. */
export function follow(listener: () => void): void {
  listeners.push(listener);
  listener();
}

function stored(): Partial<Credentials> {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? '{}') as Partial<Credentials>;
  } catch {
    return {};
  }
}
