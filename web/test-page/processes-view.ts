/** The programs of a sandbox: start in the background, list, signal, attach. */
import { button, form } from './actions.js';
import { call, sandboxPath } from './api.js';
import { element, field, input, row, select, table } from './dom.js';
import { size } from './format.js';
import type { Process } from './types.js';

export interface ProcessesView {
  root: HTMLElement;
  refresh(): Promise<void>;
}

export type Attach = (processId: string, hasTerminal: boolean) => void;

export function processesView(sandboxId: string, attach: Attach): ProcessesView {
  const path = sandboxPath(sandboxId, '/processes');
  const command = input('text', { required: true });
  const signal = select({
    SIGNAL_TERM: 'SIGTERM',
    SIGNAL_KILL: 'SIGKILL',
    SIGNAL_INT: 'SIGINT',
    SIGNAL_HUP: 'SIGHUP',
  });
  const list = element('div');
  const refresh = async () => {
    const { processes } = await call<{ processes: Process[] }>('GET', path);
    list.replaceChildren(processTable(processes, send, attach));
  };
  const send = async (processId: string) => {
    const body = { signal: signal.value };
    await call('POST', `${path}/${encodeURIComponent(processId)}/signal`, { body });
    await refresh();
  };
  const start = async () => {
    await call('POST', path, { body: { cmd: '/bin/sh', args: ['-c', command.value] } });
    await refresh();
  };
  const root = element(
    'div',
    {},
    form('Background program', 'Start in the background', start, field('Program', command)),
    row(button('Refresh processes', refresh), field('Signal to send', signal)),
    list,
  );
  return { root, refresh };
}

function processTable(
  processes: Process[],
  send: (processId: string) => Promise<void>,
  attach: Attach,
): HTMLElement {
  const rows = processes.map(({ process_id, pid, cmd, args, pty, exited, next_offset }) => [
    String(pid),
    element('code', {}, [cmd, ...args].join(' ')),
    exited ? `ended: ${exited.signal || exited.exit_code}` : 'running',
    size(next_offset),
    row(
      button('Attach', () => attach(process_id, pty), { 'aria-label': `Attach to ${pid}` }),
      ...(exited
        ? []
        : [button('Signal', () => send(process_id), { 'aria-label': `Signal ${pid}` })]),
    ),
  ]);
  return table('Processes', ['PID', 'Command', 'State', 'Output', ''], rows);
}
