/**
 * Builds the page. Text reaches the document as text nodes and attributes only,
 * so whatever a sandbox is called or prints, none of it becomes markup.
 */

export type Child = Node | string;
export type Attributes = Record<string, string | number | boolean>;

/** An element with attributes (`true` is an empty one, `false` is none) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const result = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) result.setAttribute(name, value === true ? '' : String(value));
  }
  result.append(...children);
  return result;
}

/** A part of the page under a heading of its own. */
export function card(title: string, ...children: Child[]): HTMLElement {
  const heading = element('h2', { id: newId('heading') }, title);
  return element('section', { class: 'card', 'aria-labelledby': heading.id }, heading, ...children);
}

/** A labelled control. */
export function field(label: string, control: HTMLElement, hint = ''): HTMLElement {
  control.id ||= newId('field');
  const children: Child[] = [element('label', { for: control.id }, label), control];
  if (hint) {
    const note = element('small', { id: newId('hint') }, hint);
    control.setAttribute('aria-describedby', note.id);
    children.push(note);
  }
  return element('div', { class: 'field' }, ...children);
}

export function input(type: string, attributes: Attributes = {}): HTMLInputElement {
  return element('input', { type, spellcheck: 'false', ...attributes });
}

/** A choice among values, each with what it is called. */
export function select(options: Record<string, string>, attributes: Attributes = {}) {
  const children = Object.entries(options).map(([value, label]) =>
    element('option', { value }, label),
  );
  return element('select', attributes, ...children);
}

/** A table; one without rows says so. */
export function table(caption: string, columns: string[], rows: Child[][]): HTMLElement {
  if (rows.length === 0) return element('p', { class: 'empty' }, `${caption}: none.`);
  const head = columns.map((column) => element('th', { scope: 'col' }, column));
  const body = rows.map((cells) =>
    element('tr', {}, ...cells.map((cell) => element('td', {}, cell))),
  );
  const content = element(
    'table',
    {},
    element('caption', { class: 'visually-hidden' }, caption),
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body),
  );
  return element(
    'div',
    { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': caption },
    content,
  );
}

/** Several things in a row. */
export function row(...children: Child[]): HTMLElement {
  return element('div', { class: 'row' }, ...children);
}

let ids = 0;

function newId(kind: string): string {
  ids += 1;
  return `${kind}-${ids}`;
}
