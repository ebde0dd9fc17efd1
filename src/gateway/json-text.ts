/**
 * JSON text to a value, with what JSON.parse leaves out: a bound on the
 * nesting, checked before anything is parsed, and a refusal of an object that
 * holds a key twice (JSON.parse keeps the last; another reader might keep the
 * first).
 */
import type { JsonValue } from '@bufbuild/protobuf';
import { JSON_DEPTH_MAX } from './limits.js';

export class JsonTextError extends Error {}

/** Decodes and parses; throws JsonTextError with a message for the caller. */
export function parseJsonText(bytes: Uint8Array): JsonValue {
  const text = decodeUtf8(bytes);
  checkNesting(text);
  const value = parse(text);
  checkKeys(text);
  return value;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new JsonTextError('the body is not UTF-8');
  }
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new JsonTextError('the body is not JSON');
  }
}

function checkNesting(text: string): void {
  let depth = 0;
  for (const { character } of marks(text)) {
    if (character === '{' || character === '[') depth += 1;
    if (character === '}' || character === ']') depth -= 1;
    if (depth > JSON_DEPTH_MAX) {
      throw new JsonTextError(`the body nests deeper than ${JSON_DEPTH_MAX} levels`);
    }
  }
}

/** Takes only text that JSON.parse has accepted. */
function checkKeys(text: string): void {
  const keysOfOpenObjects: (Set<string> | undefined)[] = [];
  let lastString = '';
  for (const { character, string } of marks(text)) {
    if (string !== undefined) lastString = string;
    if (character === '{') keysOfOpenObjects.push(new Set());
    if (character === '[') keysOfOpenObjects.push(undefined);
    if (character === '}' || character === ']') keysOfOpenObjects.pop();
    if (character !== ':') continue;
    const keys = keysOfOpenObjects.at(-1);
    const key = lastString.includes('\\') ? JSON.parse(lastString) : lastString.slice(1, -1);
    if (keys?.has(key)) throw new JsonTextError(`the body holds the key "${key}" twice`);
    keys?.add(key);
  }
}

interface Mark {
  /** `{`, `}`, `[`, `]`, `:`, or `"` for a whole string. */
  character: string;
  /** The string with its quotes and escapes. */
  string?: string;
}

/** The brackets, colons and strings of a JSON text, in order. */
function* marks(text: string): Generator<Mark> {
  const mark = /["{}[\]:]/g;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    const [character] = found;
    if (character !== '"') {
      yield { character };
      continue;
    }
    const end = endOfString(text, found.index + 1);
    yield { character, string: text.slice(found.index, end) };
    mark.lastIndex = end;
  }
}

/** Index after the closing quote; the text's length when there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}
