/** Plain HTTP and JSON: what any client of the API does. */
import { current } from './session.js';
import type { Status } from './types.js';

/** An answer of the API that is an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly reason: string;
  readonly requestId: string;
  readonly metadata: Record<string, string>;

  constructor(status: Status, requestId = '') {
    super(status.message || 'The API gave no message.');
    const info = status.details?.find(({ reason }) => reason !== undefined);
    this.reason = info?.reason ?? 'UNKNOWN';
    this.metadata = info?.metadata ?? {};
    this.requestId = requestId || this.metadata.request_id || '';
  }
}

export type As = 'nobody' | 'user' | 'team';
export type Query = Record<string, string | number | readonly string[]>;

export interface CallOptions {
  body?: unknown;
  query?: Query;
  /** Whose credential the call carries; the API key when left out. */
  as?: As;
  signal?: AbortSignal;
}

/**
 * Calls the API.
 * @throws ApiError for an answer that is an error, TypeError when there is none.
 */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  return (await (await request(method, path, options)).json()) as T;
}

/** The same for an answer that is not JSON: its body is still to be read. */
export async function request(
  method: string,
  path: string,
  { body, query = {}, as = 'team', signal }: CallOptions = {},
): Promise<Response> {
  const response = await fetch(address(path, query), {
    method,
    headers: {
      ...credentialHeaders(as),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
    credentials: 'omit',
    cache: 'no-store',
  });
  if (response.ok) return response;
  throw parseError(await response.text(), response.status, response.headers.get('x-request-id'));
}

/** The error that an answer's body says, or a plain one when it says none. */
export function parseError(text: string, httpStatus: number, requestId: string | null): ApiError {
  try {
    return new ApiError(JSON.parse(text) as Status, requestId ?? '');
  } catch {
    return new ApiError({ message: `HTTP status ${httpStatus}` }, requestId ?? '');
  }
}

/** All items of a list, over all pages. */
export async function listAll<T>(path: string, field: string, options: CallOptions = {}) {
  const items: T[] = [];
  for (let pageToken = ''; ; ) {
    const query = { ...options.query, ...(pageToken ? { page_token: pageToken } : {}) };
    const page = await call<Record<string, unknown>>('GET', path, { ...options, query });
    items.push(...((page[field] as T[] | undefined) ?? []));
    pageToken = String(page.next_page_token ?? '');
    if (pageToken === '') return items;
  }
}

/** The path of something of a sandbox, such as `/files`. */
export function sandboxPath(sandboxId: string, rest = ''): string {
  return `/v1/sandboxes/${encodeURIComponent(sandboxId)}${rest}`;
}

export function credentialHeaders(as: As): Record<string, string> {
  const { accessToken, apiKey } = current();
  if (as === 'user') return { authorization: `Bearer ${accessToken}` };
  return as === 'team' ? { 'x-api-key': apiKey } : {};
}

function address(path: string, query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, `${each}`);
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}
