/** The team's sandboxes, by state and metadata. */
import { attempt, button, form } from './actions.js';
import { listAll } from './api.js';
import { card, element, field, select, table } from './dom.js';
import { enumName, formatPairs, parsePairs, time } from './format.js';
import { choose, sandboxesChanged } from './selection.js';
import { current, follow } from './session.js';
import type { Sandbox } from './types.js';

const STATES = [
  'RUNNING',
  'PAUSED',
  'STARTING',
  'PAUSING',
  'RESUMING',
  'LOST',
  'FAILED',
  'DELETING',
];

export function listView(): HTMLElement {
  const state = select({
    '': 'any',
    ...Object.fromEntries(STATES.map((name) => [`SANDBOX_STATE_${name}`, name])),
  });
  const metadata = element('textarea', { rows: 1, spellcheck: 'false' });
  const list = element('div');
  const refresh = async () => {
    const pairs = formatPairs(parsePairs(metadata.value));
    const query = {
      states: state.value ? [state.value] : [],
      metadata: pairs ? pairs.split('\n') : [],
    };
    list.replaceChildren(sandboxTable(await listAll('/v1/sandboxes', 'sandboxes', { query })));
  };
  const view = card(
    'Sandboxes',
    form(
      'Filter of sandboxes',
      'List sandboxes',
      refresh,
      field('State', state),
      field('Metadata filter', metadata, 'name=value, one a line; all must match.'),
    ),
    list,
  );
  const refreshShown = () => {
    if (!view.hidden) void attempt(refresh);
  };
  sandboxesChanged.listen(refreshShown);
  follow(() => {
    view.hidden = current().apiKey === '';
    list.replaceChildren();
    refreshShown();
  });
  return view;
}

function sandboxTable(sandboxes: Sandbox[]): HTMLElement {
  const rows = sandboxes.map((sandbox) => [
    button(sandbox.sandbox_id, () => choose(sandbox.sandbox_id), {
      class: 'link',
      'aria-label': `Show sandbox ${sandbox.sandbox_id}`,
    }),
    enumName(sandbox.state, 'SANDBOX_STATE_'),
    sandbox.template,
    `${sandbox.vcpus} × ${sandbox.memory_mb} MiB`,
    element('pre', {}, formatPairs(sandbox.metadata)),
    time(sandbox.created_at),
  ]);
  return table('Sandboxes', ['Id', 'State', 'Template', 'Shape', 'Metadata', 'Created'], rows);
}
