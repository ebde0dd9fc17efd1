/**
 * Requests in which every place that takes text holds a hostile one. The answer
 * must name exactly the fields whose text is not legal, so each of them is a
 * test of all fields at once.
 */
import type { DescMethod } from '@bufbuild/protobuf';
import { isLegalText } from './rules.js';
import { HOSTILE_STRINGS } from './strings.js';
import { type Target, textTargets } from './targets.js';
import { nameOf, withContent, withEntry } from './wire.js';

/** Distance in the corpus between the texts of two fields of one request. */
const STRIDE = 37;
const CORPUS = [...HOSTILE_STRINGS.values()].flat();

export interface Filled extends Target {
  text: string;
  isLegal: boolean;
}

/** The places of a method's request, of each choice one member only, with the texts that they hold. */
export function fill(
  method: DescMethod,
  index: number,
  isTaken: (target: Target) => boolean = () => true,
): Filled[] {
  const choices = choicesOf(method, index);
  return textTargets(method.input)
    .filter((target) => isTaken(target) && choices(target))
    .map((target, place) => {
      const text = CORPUS[(index + place * STRIDE) % CORPUS.length] ?? '';
      return { ...target, text, isLegal: isLegalText(target.path, target.part, text) };
    });
}

/** Of the members of a oneof that take text, those of one index. */
function choicesOf(method: DescMethod, index: number): (target: Target) => boolean {
  const members = method.input.oneofs.flatMap(({ fields }) =>
    fields.filter(({ message }) => message?.fields.length),
  );
  const withText = members.filter((field) =>
    textTargets(method.input).some(({ path }) => path[0] === field),
  );
  const chosen = withText[index % Math.max(1, withText.length)];
  return ({ path: [first] }) => first?.oneof === undefined || first === chosen;
}

/** Names of the fields whose texts are not legal. */
export function illegalFields(filled: readonly Filled[]): string[] {
  return [
    ...new Set(filled.filter(({ isLegal }) => !isLegal).map(({ path }) => nameOf(path))),
  ].sort();
}

/** Writes the texts behind the bytes of a good request. Key and value of a map are one entry. */
export function packBytes(base: Buffer, filled: readonly Filled[]): Buffer {
  return filled.reduce((bytes, { path, part, text }) => {
    if (path.at(-1)?.fieldKind !== 'map') return withContent(bytes, path, Buffer.from(text));
    if (part === 'value') return bytes;
    const value = filled.find(
      (other) => other.part === 'value' && nameOf(other.path) === nameOf(path),
    );
    return withEntry(bytes, path, Buffer.from(text), Buffer.from(value?.text ?? ''));
  }, base);
}

/** The same without what errors say of keys and indices. */
export function namesOfViolations(fields: readonly string[]): string[] {
  return [
    ...new Set(fields.map((field) => field.replace(/\[.*$/s, (rest) => afterIndex(rest)))),
  ].sort();
}

/** `[3].type_url` → `.type_url`; the key of a map may hold anything, and nothing stands behind it. */
function afterIndex(rest: string): string {
  return /^\[\d+\](\.\w+)+$/.test(rest) ? rest.replace(/^\[\d+\]/, '') : '';
}
