/** Page tokens of directory lists: the path of the last entry, so that a page needs no state anywhere. */
import { isBelow } from '../guest/file-info.js';
import { invalidRequest } from './errors.js';

const TOKEN = /^[A-Za-z0-9_-]*$/;

export function toListToken(path: string): string {
  return Buffer.from(path).toString('base64url');
}

/**
 * @param directory that is listed.
 * @returns the path; empty for the first page.
 * @throws WrennError INVALID_REQUEST for a token of another list.
 */
export function fromListToken(token: string, directory: string): string {
  if (token === '') return '';
  const path = Buffer.from(token, 'base64url').toString();
  if (!TOKEN.test(token) || path.includes('\0') || !isBelow(path, directory)) {
    throw invalidRequest('page_token: not a token of a list of this directory');
  }
  return path;
}
