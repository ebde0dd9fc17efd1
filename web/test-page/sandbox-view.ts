/** One sandbox: its state, what can be done with it, and what is in it. */
import { attempt } from './actions.js';
import { call, sandboxPath } from './api.js';
import { type Child, card, element } from './dom.js';
import { execView } from './exec-view.js';
import { filesView } from './files-view.js';
import { enumName, formatPairs, time } from './format.js';
import { lifecycleView } from './lifecycle-view.js';
import { processesView } from './processes-view.js';
import { chosenSandbox } from './selection.js';
import { current, follow } from './session.js';
import { tabs } from './tabs.js';
import { TerminalView } from './terminal-view.js';
import type { Sandbox } from './types.js';

/** Shows the chosen sandbox, one at a time. */
export function sandboxPlace(): HTMLElement {
  const place = element('div', { id: 'sandbox' });
  let close: () => void = () => undefined;
  const show = (sandboxId: string) => {
    close();
    close = () => undefined;
    place.replaceChildren();
    if (sandboxId === '') return;
    const view = sandboxView(sandboxId);
    close = view.close;
    place.append(view.root);
    place.scrollIntoView({ block: 'nearest' });
  };
  chosenSandbox.listen(show);
  follow(() => {
    if (current().apiKey === '') show('');
  });
  return place;
}

function sandboxView(sandboxId: string): { root: HTMLElement; close(): void } {
  const facts = element('dl', { class: 'facts' });
  const refresh = async () => {
    facts.replaceChildren(...factsOf(await call<Sandbox>('GET', sandboxPath(sandboxId))));
  };
  const terminal = new TerminalView(sandboxId);
  const files = filesView(sandboxId);
  const processes = processesView(sandboxId, (processId, hasTerminal) => {
    parts.show('Terminal');
    terminal.attach(processId, hasTerminal);
  });
  const parts = tabs('Parts of the sandbox', [
    { label: 'Command', panel: execView(sandboxId) },
    { label: 'Terminal', panel: terminal.root },
    { label: 'Files', panel: files.root, shown: () => void files.refresh() },
    { label: 'Processes', panel: processes.root, shown: () => void attempt(processes.refresh) },
  ]);
  void attempt(refresh);
  return {
    root: card(`Sandbox ${sandboxId}`, facts, lifecycleView(sandboxId, refresh), parts.root),
    close: () => terminal.close(),
  };
}

function factsOf(sandbox: Sandbox): HTMLElement[] {
  const reason = enumName(sandbox.state_reason, 'ERROR_REASON_');
  const facts: [string, Child][] = [
    [
      'State',
      element('span', { 'data-state': sandbox.state }, enumName(sandbox.state, 'SANDBOX_STATE_')),
    ],
    ...(reason === 'UNSPECIFIED' ? [] : [['Cause', reason] as [string, Child]]),
    ['Template', sandbox.template],
    ['Shape', `${sandbox.vcpus} × ${sandbox.memory_mb} MiB`],
    [
      'Timeout',
      sandbox.timeout_sec
        ? `${sandbox.timeout_sec} s, then ${enumName(sandbox.on_timeout, 'TIMEOUT_ACTION_')}`
        : 'never',
    ],
    ['Guest address', sandbox.guest_ip || '–'],
    ['Last active', time(sandbox.last_active_at)],
    ['Metadata', element('pre', {}, formatPairs(sandbox.metadata))],
  ];
  return facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value)),
  );
}
