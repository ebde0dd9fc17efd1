/**
 * Whether a text is legal for a field: the rules of the protos, read and
 * applied here once more, so that the validator of the services has an
 * independent judge.
 */
import type { DescField, JsonObject } from '@bufbuild/protobuf';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import { type Rules, rulesOf } from '../../../src/openapi/field-rules.js';
import type { FieldPath } from './wire.js';

/** Which part of a field a text stands for. */
export type Part = 'value' | 'key';

/** One label of a name of a host, and what may stand before the `@` of an address (HTML's rule). */
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const EMAIL = new RegExp(`^[a-zA-Z0-9.!#$%&'*+/=?^_\`{|}~-]+@${LABEL}(?:\\.${LABEL})*$`);

type Rule = (text: string, limit: never) => boolean;

const RULES: Record<string, Rule> = {
  min_len: (text, limit: string) => [...text].length >= Number(limit),
  max_len: (text, limit: string) => [...text].length <= Number(limit),
  max_bytes: (text, limit: string) => Buffer.byteLength(text) <= Number(limit),
  // A dot of RE2 and one of ECMA-262 differ, a class does not; the rules have classes alone.
  pattern: (text, pattern: string) => new RegExp(pattern, 'u').test(text),
  email: (text) => EMAIL.test(text),
  not_in: (text, refused: string[]) => !refused.includes(text),
};

/** @throws Error for a rule that is not known here. */
export function isLegalText(path: FieldPath, part: Part, text: string): boolean {
  const field = path.at(-1);
  if (!field) throw new Error('a path has a field');
  const rules = knownRules(field);
  if (rules.ignore === 'IGNORE_IF_ZERO_VALUE' && text === '') return true;
  return textRules(rules, field.fieldKind, part).every(([name, limit]) => {
    const rule = RULES[name];
    if (!rule) throw new Error(`${field.name}: nobody here knows the rule ${name}`);
    return rule(text, limit as never);
  });
}

const READ = new Map<DescField, Rules>();

function knownRules(field: DescField): Rules {
  const rules = READ.get(field) ?? rulesOf(field, descriptors().registry);
  READ.set(field, rules);
  return rules;
}

function textRules(rules: JsonObject, kind: string, part: Part): [string, unknown][] {
  const inside = (value: unknown, name: string) => (value as JsonObject | undefined)?.[name];
  const ofList = inside(rules.repeated, 'items');
  const ofMap = inside(rules.map, part === 'key' ? 'keys' : 'values');
  const own = kind === 'list' ? ofList : kind === 'map' ? ofMap : rules;
  return Object.entries((inside(own, 'string') as JsonObject | undefined) ?? {});
}
