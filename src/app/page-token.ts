/**
 * Page tokens: where a page ended, opaque to callers. A token moves its bearer
 * about in the bearer's own list only, so it needs a form but no signature.
 */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Page, PageKey, PageRequest } from '../store/page.js';

/** Items on a page when the caller names no number; also the most. */
export const PAGE_SIZE_MAX = 100;

const FORM = /^(\d{1,15})\.([a-z0-9]{1,64})$/;

/** @throws INVALID_REQUEST for a token that no answer held. */
export function toPageRequest(request: { pageSize: number; pageToken: string }): PageRequest {
  return {
    size: request.pageSize || PAGE_SIZE_MAX,
    after: request.pageToken === '' ? undefined : decode(request.pageToken),
  };
}

/** The token of the next page; empty on the last one. */
export function nextPageToken({ next }: Page<unknown>): string {
  return next ? encode(next) : '';
}

function encode({ createdAt, id }: PageKey): string {
  return Buffer.from(`${createdAt.getTime()}.${id}`).toString('base64url');
}

function decode(token: string): PageKey {
  const [, timeMs, id] = FORM.exec(Buffer.from(token, 'base64url').toString('latin1')) ?? [];
  const key = { createdAt: new Date(Number(timeMs)), id: id ?? '' };
  if (Number.isNaN(key.createdAt.getTime()) || encode(key) !== token) throw invalidToken();
  return key;
}

function invalidToken(): WrennError {
  const description = 'must be the next_page_token of the page before';
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    `the request is not valid: page_token: ${description}`,
    { violations: [{ field: 'page_token', description, rule: 'page_token' }] },
  );
}
