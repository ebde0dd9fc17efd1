/** API keys: create (the secret is shown once), list, use, delete. */
import { attempt, button, form } from './actions.js';
import { call, listAll } from './api.js';
import { card, element, field, input, row, table } from './dom.js';
import { time } from './format.js';
import { change, current, follow } from './session.js';
import type { ApiKey } from './types.js';

export function keysView(): HTMLElement {
  const name = input('text', { maxlength: 64 });
  const secret = element('div', { 'aria-live': 'polite' });
  const list = element('div');
  const refresh = async () => {
    list.replaceChildren(
      keyTable(await listAll('/v1/api-keys', 'api_keys', { as: 'user' }), refresh),
    );
  };
  const create = async () => {
    const body = { name: name.value };
    const created = await call<{ key: string }>('POST', '/v1/api-keys', { body, as: 'user' });
    secret.replaceChildren(shownOnce(created.key));
    change({ apiKey: created.key });
    name.value = '';
  };
  const view = card(
    'API keys',
    form('New API key', 'Create key', create, field('Name of the key', name)),
    secret,
    row(button('Refresh keys', refresh)),
    list,
  );
  follow(() => {
    view.hidden = current().accessToken === '';
    if (view.hidden) secret.replaceChildren();
    else void attempt(refresh);
  });
  return view;
}

function shownOnce(key: string): HTMLElement {
  const text = element('code', { class: 'secret', 'data-secret': true }, key);
  return element('p', { class: 'notice done' }, 'Shown only now, and used by this page: ', text);
}

function keyTable(keys: ApiKey[], refresh: () => Promise<void>): HTMLElement {
  const remove = async ({ api_key_id, key_prefix }: ApiKey) => {
    await call('DELETE', `/v1/api-keys/${encodeURIComponent(api_key_id)}`, { as: 'user' });
    if (current().apiKey.startsWith(key_prefix)) change({ apiKey: '' });
    else await refresh();
  };
  const rows = keys.map((key) => [
    key.name,
    element('code', {}, `${key.key_prefix}…`),
    time(key.created_at),
    time(key.last_used),
    button('Delete', () => remove(key), { 'aria-label': `Delete key ${key.name}` }),
  ]);
  return table('API keys', ['Name', 'Begins with', 'Created', 'Last used', ''], rows);
}
