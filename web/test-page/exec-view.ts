/** Runs a command to its end and shows what it printed. */
import { form } from './actions.js';
import { call, sandboxPath } from './api.js';
import { fromBase64 } from './base64.js';
import { element, field, input } from './dom.js';
import type { ExecResult } from './types.js';

export function execView(sandboxId: string): HTMLElement {
  const command = input('text', { required: true });
  const timeout = input('number', { min: 0, max: 3600, value: 0 });
  const output = element('div', { 'aria-live': 'polite' });
  const run = async () => {
    output.replaceChildren();
    const result = await call<ExecResult>('POST', sandboxPath(sandboxId, '/exec'), {
      body: {
        cmd: '/bin/sh',
        args: ['-c', command.value],
        timeout_sec: timeout.valueAsNumber || 0,
      },
    });
    output.replaceChildren(...resultOf(result));
  };
  return element(
    'div',
    {},
    form(
      'Command',
      'Run',
      run,
      field('Command', command, 'Run by /bin/sh -c, such as uname -a.'),
      field('Time limit in seconds', timeout, '0 is 30 seconds.'),
    ),
    output,
  );
}

function resultOf(result: ExecResult): HTMLElement[] {
  const { exit_code, signal, duration_ms } = result;
  const end = `Ended with ${signal || `exit code ${exit_code}`} after ${duration_ms.toFixed(0)} ms.`;
  return [
    element('p', { class: 'status', 'data-exit-code': exit_code }, end),
    ...outputOf('Output', result.stdout, result.stdout_truncated),
    ...outputOf('Error output', result.stderr, result.stderr_truncated),
  ];
}

/** Bytes that are no UTF-8 show as replacement characters. */
function outputOf(title: string, data: string, isTruncated: boolean): HTMLElement[] {
  if (data === '') return [];
  const text = new TextDecoder().decode(fromBase64(data));
  return [
    element('h4', {}, isTruncated ? `${title} (only its beginning)` : title),
    element('pre', { class: 'output', tabindex: 0, 'aria-label': title }, text),
  ];
}
