/**
 * JSON text to a value, with what JSON.parse leaves out: integers stay exact at
 * any size, and refused are an object that holds a key twice (JSON.parse keeps
 * the last; another reader might keep the first), nesting without bound, a
 * number that no double comes near, and half a surrogate pair, which no UTF-8
 * can carry on.
 */
import { JSON_DEPTH_MAX } from './limits.js';

/** A JSON value; an integer that a double may not hold is a bigint. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | ExactJson[]
  | { [key: string]: ExactJson };

export class JsonTextError extends Error {}

/** Decodes and parses; throws JsonTextError with a message for the caller. */
export function parseJsonText(bytes: Uint8Array): ExactJson {
  return new JsonReader(decodeUtf8(bytes)).readWhole();
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const NUMBER_PARTS = /^(-?)(\d+)(?:\.(\d+))?(?:[eE](.+))?$/;
const WORDS = new Map<string, ExactJson>([
  ['true', true],
  ['false', false],
  ['null', null],
]);
const WORD = /true|false|null/y;
/** Without any of these a string means what stands between its quotes. */
const ESCAPE_OR_CONTROL = /[\\\p{Control}]/u;
const HALF_SURROGATE_PAIR = /\p{Surrogate}/u;
/** How much of a key an error repeats. */
const KEY_LENGTH_MAX = 128;

function decodeUtf8(bytes: Uint8Array): string {
  try {
    // A byte order mark is kept, and so refused: JSON has none.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonTextError('the body is not UTF-8');
  }
}

class JsonReader {
  readonly #text: string;
  #index = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readWhole(): ExactJson {
    const value = this.#readValue();
    this.#skipSpace();
    if (this.#index < this.#text.length) throw this.#unexpected();
    return value;
  }

  #readValue(): ExactJson {
    this.#skipSpace();
    const first = this.#text[this.#index];
    if (first === '{') return this.#readObject();
    if (first === '[') return this.#readArray();
    if (first === '"') return this.#readString();
    const number = this.#take(NUMBER);
    if (number !== undefined) return readNumber(number);
    const word = WORDS.get(this.#take(WORD) ?? '');
    if (word === undefined) throw this.#unexpected();
    return word;
  }

  #readObject(): ExactJson {
    const members = new Map<string, ExactJson>();
    this.#readItems('}', () => {
      this.#skipSpace();
      if (this.#text[this.#index] !== '"') throw this.#unexpected();
      const key = this.#readString();
      if (members.has(key)) {
        throw new JsonTextError(`the body holds the key "${key.slice(0, KEY_LENGTH_MAX)}" twice`);
      }
      this.#expect(':');
      members.set(key, this.#readValue());
    });
    // Unlike assignment this makes `__proto__` a member like any other.
    return Object.fromEntries(members);
  }

  #readArray(): ExactJson {
    const items: ExactJson[] = [];
    this.#readItems(']', () => items.push(this.#readValue()));
    return items;
  }

  /** From an opening bracket, which is next, to the closing one. */
  #readItems(close: string, readItem: () => void): void {
    this.#index += 1;
    this.#depth += 1;
    if (this.#depth > JSON_DEPTH_MAX) {
      throw new JsonTextError(`the body nests deeper than ${JSON_DEPTH_MAX} levels`);
    }
    if (!this.#skip(close)) {
      do readItem();
      while (this.#skip(','));
      this.#expect(close);
    }
    this.#depth -= 1;
  }

  /** Reads a string whose opening quote is next. */
  #readString(): string {
    const start = this.#index;
    const end = this.#endOfString(start + 1);
    const plain = this.#text.slice(start + 1, end - 1);
    this.#index = end;
    if (!ESCAPE_OR_CONTROL.test(plain)) return plain;
    const string = meaningOf(this.#text.slice(start, end));
    if (string !== undefined) return string;
    this.#index = start;
    throw this.#unexpected();
  }

  /** Index after the closing quote, which is the first with an even number of backslashes before. */
  #endOfString(start: number): number {
    const text = this.#text;
    for (let end = text.indexOf('"', start); end >= 0; end = text.indexOf('"', end + 1)) {
      let backslashes = 0;
      while (text[end - 1 - backslashes] === '\\') backslashes += 1;
      if (backslashes % 2 === 0) return end + 1;
    }
    throw this.#unexpected();
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#index;
    const found = pattern.exec(this.#text)?.[0];
    this.#index += found?.length ?? 0;
    return found;
  }

  #expect(character: string): void {
    if (!this.#skip(character)) throw this.#unexpected();
  }

  /** Goes past a character if it is next after space, and says whether it was. */
  #skip(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#index] !== character) return false;
    this.#index += 1;
    return true;
  }

  #skipSpace(): void {
    const text = this.#text;
    for (; ; this.#index += 1) {
      const character = text[this.#index];
      if (character === ' ' || character === '\n' || character === '\t' || character === '\r') {
        continue;
      }
      return;
    }
  }

  #unexpected(): JsonTextError {
    return new JsonTextError(`the body is not JSON: see its character ${this.#index + 1}`);
  }
}

/** The meaning of a quoted string, or undefined when it holds what JSON does not allow. */
function meaningOf(quoted: string): string | undefined {
  let string: string;
  try {
    string = JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
  if (!HALF_SURROGATE_PAIR.test(string)) return string;
  throw new JsonTextError('the body holds a string with half a surrogate pair');
}

function readNumber(literal: string): number | bigint {
  const value = Number(literal);
  if (!Number.isFinite(value)) throw new JsonTextError('the body holds a number beyond any double');
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
  return integerOf(literal) ?? value;
}

/** The integer that a finite number is exactly; undefined when it has a fraction. */
function integerOf(literal: string): bigint | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER_PARTS.exec(literal) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const shift = Number(exponent) - fraction.length;
  if (shift >= 0) return BigInt(`${sign}${digits}${'0'.repeat(shift)}`);
  if (/[^0]/.test(digits.slice(shift))) return undefined;
  return BigInt(`${sign}${digits.slice(0, shift)}`);
}
