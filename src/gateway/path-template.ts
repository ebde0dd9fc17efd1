/**
 * Path templates of google.api.http:
 *
 *     Template  = "/" Segments [ ":" LITERAL ] ;
 *     Segments  = Segment { "/" Segment } ;
 *     Segment   = "*" | "**" | LITERAL | Variable ;
 *     Variable  = "{" FieldPath [ "=" Segments ] "}" ;
 *     FieldPath = IDENT { "." IDENT } ;
 *
 * `*` is one segment, `**` is any number of them and stands last. A variable of
 * one segment is decoded whole; in a variable of several, `%2F` stays as it is,
 * so that it can be told from the separator.
 */
import type { RequestPath } from './request-path.js';
import { decodeKeepingSlashes } from './request-path.js';

export type Segment = { kind: 'literal'; value: string } | { kind: 'single' } | { kind: 'rest' };

export interface Variable {
  /** Path of the field that takes the value, such as `a.b`. */
  fieldPath: string;
  /** Index of its first segment in the template. */
  start: number;
  /** Index after its last segment. */
  end: number;
  /** Whether it may hold more than one segment of the path. */
  isMultiSegment: boolean;
}

export interface PathTemplate {
  text: string;
  segments: Segment[];
  variables: Variable[];
  verb: string | undefined;
}

const FIELD_PATH = /[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/y;
const LITERAL = /[^/{}*:=?#\s]+/y;

/** Parses a template; throws for one that breaks the grammar. */
export function parseTemplate(text: string): PathTemplate {
  const reader = new TemplateReader(text);
  const template: PathTemplate = { text, segments: [], variables: [], verb: undefined };
  reader.expect('/');
  readSegments(reader, template, false);
  if (reader.accept(':')) template.verb = reader.take(LITERAL, 'a verb');
  reader.expectEnd();
  const restIndex = template.segments.findIndex(({ kind }) => kind === 'rest');
  if (restIndex >= 0 && restIndex !== template.segments.length - 1) {
    throw new Error(`path template ${text}: ** must be the last segment`);
  }
  const names = template.variables.map(({ fieldPath }) => fieldPath);
  if (new Set(names).size !== names.length) {
    throw new Error(`path template ${text}: a field is bound twice`);
  }
  return template;
}

/** Values of the template's variables by field path, or undefined when the path is another one. */
export function matchTemplate(
  template: PathTemplate,
  path: RequestPath,
): Map<string, string> | undefined {
  const rawSegments = withoutVerb(template, path.rawSegments);
  if (!rawSegments || !segmentsMatch(template.segments, rawSegments)) return undefined;
  const values = template.variables.map(({ fieldPath, start, end, isMultiSegment }) => {
    const isLast = end === template.segments.length;
    const raw = rawSegments.slice(start, isLast ? undefined : end);
    const decode = isMultiSegment ? decodeKeepingSlashes : decodeURIComponent;
    return [fieldPath, raw.map(decode).join('/')] as const;
  });
  return new Map(values);
}

function readSegments(reader: TemplateReader, template: PathTemplate, insideVariable: boolean) {
  do {
    if (reader.accept('**')) template.segments.push({ kind: 'rest' });
    else if (reader.accept('*')) template.segments.push({ kind: 'single' });
    else if (!insideVariable && reader.accept('{')) readVariable(reader, template);
    else template.segments.push({ kind: 'literal', value: reader.take(LITERAL, 'a segment') });
  } while (reader.accept('/'));
}

function readVariable(reader: TemplateReader, template: PathTemplate) {
  const fieldPath = reader.take(FIELD_PATH, 'a field path');
  const start = template.segments.length;
  if (reader.accept('=')) readSegments(reader, template, true);
  else template.segments.push({ kind: 'single' });
  reader.expect('}');
  const end = template.segments.length;
  const isMultiSegment = end - start > 1 || template.segments[start]?.kind === 'rest';
  template.variables.push({ fieldPath, start, end, isMultiSegment });
}

/** The path's segments with the template's verb taken off; undefined when the path lacks it. */
function withoutVerb(template: PathTemplate, rawSegments: string[]): string[] | undefined {
  if (template.verb === undefined) return rawSegments;
  const suffix = `:${template.verb}`;
  const last = rawSegments.at(-1) ?? '';
  if (!last.endsWith(suffix)) return undefined;
  return [...rawSegments.slice(0, -1), last.slice(0, -suffix.length)];
}

function segmentsMatch(segments: Segment[], rawSegments: string[]): boolean {
  const hasRest = segments.at(-1)?.kind === 'rest';
  const fixed = hasRest ? segments.slice(0, -1) : segments;
  if (hasRest ? rawSegments.length < fixed.length : rawSegments.length !== fixed.length) {
    return false;
  }
  if (rawSegments.includes('')) return false;
  return fixed.every((segment, index) => {
    if (segment.kind !== 'literal') return true;
    return decodeURIComponent(rawSegments[index] ?? '') === segment.value;
  });
}

class TemplateReader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  accept(token: string): boolean {
    if (!this.#text.startsWith(token, this.#position)) return false;
    this.#position += token.length;
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) this.#fail(`"${token}"`);
  }

  take(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#position;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) return this.#fail(what);
    this.#position += found.length;
    return found;
  }

  expectEnd(): void {
    if (this.#position !== this.#text.length) this.#fail('the end');
  }

  #fail(expected: string): never {
    throw new Error(
      `path template ${this.#text}: expected ${expected} at character ${this.#position + 1}`,
    );
  }
}
