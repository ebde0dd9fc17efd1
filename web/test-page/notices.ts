/** Messages in a corner of the page: what was done, and errors with reason and request id. */
import { ApiError } from './api.js';
import { type Child, element } from './dom.js';

const NOTICES_MAX = 5;
/** What was done goes by itself; an error stays until it is dismissed. */
const DONE_SHOWN_MS = 10_000;

export function showDone(text: string): void {
  show('done', text);
}

export function showError(error: unknown): void {
  if (error instanceof DOMException && error.name === 'AbortError') return;
  if (!(error instanceof ApiError)) {
    show('error', error instanceof Error ? error.message : String(error));
    return;
  }
  show(
    'error',
    element('strong', {}, error.reason),
    ` ${error.message} `,
    element('small', {}, `request ${error.requestId || 'unknown'}`),
  );
}

function show(kind: 'done' | 'error', ...children: Child[]): void {
  const place = document.getElementById('notices');
  const close = element(
    'button',
    { type: 'button', class: 'dismiss', 'aria-label': 'Dismiss' },
    '×',
  );
  const notice = element('p', { class: `notice ${kind}` }, element('span', {}, ...children), close);
  close.addEventListener('click', () => notice.remove());
  if (kind === 'done') window.setTimeout(() => notice.remove(), DONE_SHOWN_MS);
  place?.prepend(notice);
  while (place && place.children.length > NOTICES_MAX) place.lastElementChild?.remove();
}
