/** What can be done with a sandbox as a whole: pause, resume, copy, freeze, destroy. */
import { button, form } from './actions.js';
import { call, sandboxPath } from './api.js';
import { element, field, input, row } from './dom.js';
import { showDone, showError } from './notices.js';
import { choose, sandboxesChanged, snapshotsChanged } from './selection.js';
import type { ForkResult, Sandbox, Snapshot } from './types.js';

export function lifecycleView(sandboxId: string, changed: () => Promise<void>): HTMLElement {
  const post = async <T>(rest: string, body: object): Promise<T> => {
    const answer = await call<T>('POST', sandboxPath(sandboxId, rest), { body });
    await changed();
    sandboxesChanged.tell();
    return answer;
  };
  const resume = (mode: string) => post('/resume', { mode: `RESUME_MODE_${mode}` });
  const destroy = async () => {
    await call('DELETE', sandboxPath(sandboxId));
    showDone(`Sandbox ${sandboxId} is destroyed.`);
    choose('');
  };
  return element(
    'div',
    {},
    row(
      button('Refresh', changed),
      button('Pause', () => post<Sandbox>('/pause', {})),
      button('Resume', () => resume('WARM')),
      button('Resume cold', () => resume('COLD')),
      button('Destroy', destroy, { class: 'danger' }),
    ),
    row(
      forkForm((count) => post<{ results: ForkResult[] }>('/fork', { count })),
      snapshotForm(sandboxId),
    ),
  );
}

function forkForm(fork: (count: number) => Promise<{ results: ForkResult[] }>): HTMLElement {
  const count = input('number', { min: 1, max: 100, value: 1 });
  const run = async () => {
    const { results } = await fork(count.valueAsNumber);
    for (const { sandbox, error } of results) {
      if (sandbox) showDone(`Copy ${sandbox.sandbox_id} runs.`);
      else showError(new Error(`${error?.reason}: ${error?.message}`));
    }
  };
  return form('Fork', 'Fork', run, field('Copies', count));
}

function snapshotForm(sandboxId: string): HTMLElement {
  const name = input('text', { pattern: '[a-z0-9][a-z0-9._\\-]{0,62}' });
  const run = async () => {
    const body = { sandbox_id: sandboxId, name: name.value };
    const snapshot = await call<Snapshot>('POST', '/v1/snapshots', { body });
    showDone(`Snapshot ${snapshot.name} is made.`);
    name.value = '';
    snapshotsChanged.tell();
  };
  return form('Snapshot', 'Create snapshot', run, field('Name of the snapshot', name));
}
