/**
 * Answers requests for pages out of memory. All files are read at start: a
 * request names one by its whole path or gets nothing, so it cannot leave the
 * table, whatever it writes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { packageRoot } from '../../../lib/files/package-root.js';
import { type Answer, jsonAnswer } from '../response.js';
import type { PageFile } from './page-files.js';

const METHODS = 'GET, HEAD, OPTIONS';

export interface PageRequest {
  method: string;
  /** The path as the client wrote it, without the query. */
  path: string;
  /** The header `if-none-match`. */
  ifNoneMatch: string | undefined;
}

export class StaticPages {
  readonly #answers: ReadonlyMap<string, Answer>;

  private constructor(answers: ReadonlyMap<string, Answer>) {
    this.#answers = answers;
  }

  /** Reads the files; throws HOST_REQUIREMENT when the pages have not been built. */
  static load(files: readonly PageFile[], root: string = packageRoot()): StaticPages {
    return new StaticPages(new Map(files.map((file) => [file.path, readAnswer(file, root)])));
  }

  /**
   * The answer to a request for a page; undefined when the path is none.
   * @throws UNIMPLEMENTED for a method that pages do not take.
   */
  answer({ method, path, ifNoneMatch }: PageRequest): Answer | undefined {
    const answer = this.#answers.get(path);
    if (!answer) return undefined;
    if (method === 'OPTIONS') return { ...jsonAnswer(200, {}), headers: { allow: METHODS } };
    if (method !== 'GET' && method !== 'HEAD') {
      throw new WrennError(Code.UNIMPLEMENTED, 'METHOD_NOT_ALLOWED', `this path takes ${METHODS}`, {
        metadata: { allow: METHODS },
      });
    }
    const isKnown = namesTag(ifNoneMatch, answer.headers.etag ?? '');
    // Node sends no body with 304; the length is that of the page, as it must be.
    return isKnown ? { ...answer, httpStatus: 304 } : answer;
  }
}

function readAnswer({ file, contentType, contentSecurityPolicy }: PageFile, root: string): Answer {
  const body = readPage(join(root, file), file);
  const headers: Record<string, string> = {
    etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
    // A browser keeps the file and asks each time whether it is still the same.
    'cache-control': 'no-cache',
  };
  if (contentSecurityPolicy !== undefined)
    headers['content-security-policy'] = contentSecurityPolicy;
  return { httpStatus: 200, contentType, headers, body };
}

function readPage(path: string, name: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `there is no ${name}: run npm run build`;
    throw new WrennError(Code.FAILED_PRECONDITION, 'HOST_REQUIREMENT', message, { cause });
  }
}

/** Whether `if-none-match` names the tag, or anything. */
function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const names = header.split(',').map((name) => name.trim().replace(/^W\//, ''));
  return names.includes('*') || names.includes(tag);
}
