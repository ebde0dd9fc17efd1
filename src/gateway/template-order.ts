/**
 * Which of two templates matches fewer paths. The narrower one goes first; two
 * that share a path without one being narrower would make the answer depend on
 * their order, so the route table refuses them.
 */
import type { PathTemplate, Segment } from './path-template.js';

export type TemplateRelation = 'disjoint' | 'narrower' | 'wider' | 'same' | 'crossing';

/** How `a` relates to `b`: the narrower one is meant where both match, and a verb narrows, too. */
export function relate(a: PathTemplate, b: PathTemplate): TemplateRelation {
  const relation = relateSegments(a.segments, b.segments);
  if (relation === 'disjoint' || a.verb === b.verb) return relation;
  if (a.verb !== undefined && b.verb !== undefined) return 'disjoint';
  // The verb is the end of the last segment: a literal without a verb does not hold it.
  const plain = a.verb === undefined ? a : b;
  if (plain.segments.at(-1)?.kind === 'literal') return 'disjoint';
  const byVerb = a.verb === undefined ? 'wider' : 'narrower';
  return relation === 'same' || relation === byVerb ? byVerb : 'crossing';
}

/** Orders templates so that a narrower one stands before each wider one. */
export function bySpecificity(a: PathTemplate, b: PathTemplate): number {
  const more = (kind: Segment['kind']) => count(b, kind) - count(a, kind);
  const verb = Number(b.verb !== undefined) - Number(a.verb !== undefined);
  return more('literal') || more('single') || -more('rest') || verb;
}

function relateSegments(a: Segment[], b: Segment[]): TemplateRelation {
  let isNarrower = false;
  let isWider = false;
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left, right] = [a[index], b[index]];
    if (left?.kind === 'rest' || right?.kind === 'rest') {
      isNarrower ||= left?.kind !== 'rest';
      isWider ||= right?.kind !== 'rest';
      break;
    }
    if (!left || !right) return 'disjoint';
    if (left.kind === 'literal' && right.kind === 'literal') {
      if (left.value !== right.value) return 'disjoint';
    } else {
      isNarrower ||= left.kind === 'literal';
      isWider ||= right.kind === 'literal';
    }
  }
  if (isNarrower && isWider) return 'crossing';
  if (isNarrower) return 'narrower';
  return isWider ? 'wider' : 'same';
}

function count(template: PathTemplate, wanted: Segment['kind']): number {
  return template.segments.filter(({ kind }) => kind === wanted).length;
}
