/**
 * Lets xterm.js work under a policy without inline styles. It makes `style`
 * elements and sets `style` attributes, which `style-src 'self'` forbids; what
 * scripts set through constructed style sheets and `element.style` is allowed,
 * so both are led there.
 */

/** To be called once, before the first terminal is made. */
export function allowTerminalStyles(): void {
  const createElement = document.createElement.bind(document);
  document.createElement = ((tag: string, options?: ElementCreationOptions) =>
    tag === 'style' ? constructedStyle(createElement) : createElement(tag, options)) as never;
  const setAttribute = Element.prototype.setAttribute;
  HTMLElement.prototype.setAttribute = function (name: string, value: string): void {
    if (name === 'style') this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}

/** Stands where a `style` element would; its text becomes a style sheet of the document. */
function constructedStyle(createElement: (tag: 'template') => HTMLElement): HTMLElement {
  const element = createElement('template');
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    set: (text: string) => sheet.replaceSync(text),
  });
  element.remove = () => {
    Element.prototype.remove.call(element);
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
  };
  return element;
}
