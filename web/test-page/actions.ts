/** Buttons and forms that do something, and say what went wrong. */
import { type Attributes, type Child, element } from './dom.js';
import { showError } from './notices.js';

export type Action = () => unknown;

/** Does it, and shows an error instead of throwing one. */
export async function attempt(action: Action): Promise<void> {
  try {
    await action();
  } catch (error) {
    showError(error);
  }
}

/** A button that is off while its action is under way. */
export function button(label: string, action: Action, attributes: Attributes = {}) {
  const result = element('button', { type: 'button', ...attributes }, label);
  result.addEventListener('click', () => void whileOff(result, action));
  return result;
}

/** A form; Enter in any of its fields does the action. */
export function form(
  name: string,
  submit: string,
  action: Action,
  ...children: Child[]
): HTMLFormElement {
  const send = element('button', { type: 'submit', class: 'primary' }, submit);
  const result = element('form', { 'aria-label': name }, ...children, send);
  result.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!send.disabled) void whileOff(send, action);
  });
  return result;
}

async function whileOff(control: HTMLButtonElement, action: Action): Promise<void> {
  control.disabled = true;
  control.setAttribute('aria-busy', 'true');
  await attempt(action);
  control.removeAttribute('aria-busy');
  control.disabled = false;
}
