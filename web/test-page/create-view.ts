/** Creates a sandbox from a template or a snapshot. */
import { form } from './actions.js';
import { call } from './api.js';
import { card, element, field, input, select } from './dom.js';
import { parsePairs } from './format.js';
import { showDone } from './notices.js';
import { choose, templateToStart } from './selection.js';
import { current, follow } from './session.js';
import type { Sandbox } from './types.js';

export function createView(): HTMLElement {
  const template = input('text');
  const vcpus = input('number', { min: 0, max: 8, value: 0 });
  const memory = input('number', { min: 0, max: 16_384, value: 0 });
  const timeout = input('number', { min: 0, max: 2_592_000, value: 0 });
  const onTimeout = select({
    TIMEOUT_ACTION_DELETE: 'delete it',
    TIMEOUT_ACTION_PAUSE: 'pause it',
  });
  const metadata = element('textarea', { rows: 2, spellcheck: 'false' });
  const env = element('textarea', { rows: 2, spellcheck: 'false' });
  const create = async () => {
    const sandbox = await call<Sandbox>('POST', '/v1/sandboxes', {
      body: {
        template: template.value,
        vcpus: vcpus.valueAsNumber || 0,
        memory_mb: memory.valueAsNumber || 0,
        timeout_sec: timeout.valueAsNumber || 0,
        on_timeout: onTimeout.value,
        metadata: parsePairs(metadata.value),
        env: parsePairs(env.value),
      },
    });
    showDone(`Sandbox ${sandbox.sandbox_id} runs.`);
    choose(sandbox.sandbox_id);
  };
  const view = card(
    'New sandbox',
    form(
      'New sandbox',
      'Create sandbox',
      create,
      field('Template or snapshot', template, 'Empty is minimal.'),
      field('Virtual CPUs', vcpus, '0 is the default.'),
      field('Memory in MiB', memory, '0 is the default.'),
      field('Timeout in seconds', timeout, 'Without activity; 0 is never.'),
      field('When the timeout passes', onTimeout),
      field('Metadata', metadata, 'name=value, one a line.'),
      field('Environment', env, 'NAME=value, one a line.'),
    ),
  );
  templateToStart.listen((name) => {
    template.value = name;
    template.focus();
  });
  follow(() => {
    view.hidden = current().apiKey === '';
  });
  return view;
}
