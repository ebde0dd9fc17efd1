/**
 * The path of a request, split before it is decoded, and decoded exactly once.
 * A segment that is `.` or `..` after that is refused: some other program on
 * the way might resolve it, and then the two would see different paths.
 */
import { Code, WrennError } from '../../lib/errors/index.js';

export interface RequestPath {
  /** Segments as they came, with their percent-escapes; each decodes without error. */
  rawSegments: string[];
}

export interface RequestTarget {
  path: RequestPath;
  /** What stands after `?`, undecoded; empty when there is nothing. */
  query: string;
}

const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/** Splits a request target; throws INVALID_ARGUMENT for one that has no single meaning. */
export function parseTarget(target: string): RequestTarget {
  if (!PRINTABLE_ASCII.test(target) || target.includes('#')) {
    throw invalid('the request target holds characters that a URL must escape');
  }
  const originForm = target.replace(ABSOLUTE_FORM, '') || '/';
  const queryStart = originForm.indexOf('?');
  const rawPath = queryStart < 0 ? originForm : originForm.slice(0, queryStart);
  const query = queryStart < 0 ? '' : originForm.slice(queryStart + 1);
  return { path: parsePath(rawPath || '/'), query };
}

function parsePath(rawPath: string): RequestPath {
  if (!rawPath.startsWith('/')) throw invalid('the path does not start with a slash');
  const rawSegments = rawPath.slice(1).split('/');
  for (const rawSegment of rawSegments) {
    const parts = decode(rawSegment).split('/');
    if (parts.includes('.') || parts.includes('..')) {
      throw invalid('the path holds a segment that is . or ..');
    }
  }
  return { rawSegments };
}

/** Decodes a segment but leaves an escaped slash as it is. */
export function decodeKeepingSlashes(rawSegment: string): string {
  return rawSegment
    .split(/(%2f)/i)
    .map((part) => (/^%2f$/i.test(part) ? part : decodeURIComponent(part)))
    .join('');
}

function decode(rawSegment: string): string {
  try {
    return decodeURIComponent(rawSegment);
  } catch (cause) {
    throw invalid('the path holds an escape that is not percent-encoded UTF-8', cause);
  }
}

function invalid(message: string, cause?: unknown): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message, { cause });
}
