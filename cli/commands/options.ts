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
