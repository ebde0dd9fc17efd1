/** Hostile numbers, and whether one is legal for a field by the rules of the protos, judged apart from the validator. */
import { type DescField, type JsonObject, ScalarType } from '@bufbuild/protobuf';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import { rulesOf } from '../../../src/openapi/field-rules.js';

/** 1 is not among them: as a time to live it would end the sandbox of the test. */
export const HOSTILE_NUMBERS: readonly number[] = [
  ...[0, -0, -1, 65, 101, 127, 128, 1001, 3601, 4096, 4097, 16385, 65_535, 65_536, 2_592_001],
  ...[-(2 ** 31), 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 9, 2 ** 53, -(2 ** 53), 2 ** 62],
  ...[0.5, -0.5, 1e308, -1e308, 5e-324, Number.NaN, Number.POSITIVE_INFINITY],
];

type Bound = [name: string, holds: (value: number, limit: number) => boolean];

const BOUNDS: Bound[] = [
  ['gte', (value, limit) => value >= limit],
  ['lte', (value, limit) => value <= limit],
];

/** What a program reads of a number that was written as `withNumber` does. */
export function readBack(field: DescField, value: number): number {
  if (field.scalar === ScalarType.DOUBLE) return value;
  const bits = BigInt(Math.trunc(Number.isFinite(value) && Math.abs(value) < 2 ** 63 ? value : 0));
  if (field.scalar === ScalarType.BOOL) return bits === 0n ? 0 : 1;
  const isUnsigned = field.scalar === ScalarType.UINT32;
  return Number(isUnsigned ? BigInt.asUintN(32, bits) : BigInt.asIntN(32, bits));
}

/** @throws Error for a rule that is not known here. */
export function isLegalNumber(field: DescField, value: number): boolean {
  const rules = rulesOf(field, descriptors().registry);
  if (field.enum) return isLegalChoice(field, rules, value);
  if ('cel' in rules) return isLegalExpression(rules.cel as { id: string }[], value);
  const ofType = (rules.int32 ?? rules.uint32 ?? {}) as Record<string, number>;
  return BOUNDS.every(([name, holds]) => !(name in ofType) || holds(value, Number(ofType[name])));
}

function isLegalChoice(field: DescField, rules: JsonObject, value: number): boolean {
  const ofItems = (rules.repeated as JsonObject | undefined)?.items as JsonObject | undefined;
  const { not_in: refused = [] } = ((ofItems ?? rules).enum ?? {}) as { not_in?: number[] };
  const isKnown = field.enum?.values.some(({ number }) => number === value) ?? false;
  return isKnown && !refused.includes(value);
}

function isLegalExpression([rule]: { id: string }[], value: number): boolean {
  switch (rule?.id) {
    case 'memory_mb.range':
      return value === 0 || (value >= 128 && value <= 16_384);
    case 'offset.whole':
      return Number.isInteger(value) && value >= 0 && value <= 2 ** 53;
    default:
      throw new Error(`${rule?.id}: nobody here knows this expression`);
  }
}
