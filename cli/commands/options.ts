/** Parsers of option values; a wrong one is a usage error that names the option. */
import { InvalidArgumentError } from 'commander';

export function parseWholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** Collects a repeatable `name=value`. */
export function collectPair(
  text: string,
  collected: Record<string, string> = {},
): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Give it as name=value.');
  return { ...collected, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** An offset in bytes; all up to 2^53 are exact. */
export function parseOffset(text: string): number {
  const offset = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(offset)) {
    throw new InvalidArgumentError('Give a number of bytes.');
  }
  return offset;
}

/** Permission bits in octal: `755`, or `0755`. */
export function parseMode(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw new InvalidArgumentError('Give octal digits, such as 755.');
  return Number.parseInt(text, 8);
}
