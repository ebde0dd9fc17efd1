/**
 * The daemon's log: one JSON object a line on standard error, which is the
 * machine's console. A serial console costs an exit of the virtual machine for
 * each character, so only what a person must see is written.
 */
import type { Fields, Log } from '../lib/log/log.js';
import { redact } from '../lib/log/redact.js';

export function createConsoleLog(bound: Fields = {}): Log {
  const write = (level: string, message: string, fields?: Fields) => {
    const line = { level, message, ...(redact({ ...bound, ...fields }) as Fields) };
    process.stderr.write(`${JSON.stringify(line)}\n`);
  };
  return {
    error: (message, fields) => write('error', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    info: () => undefined,
    debug: () => undefined,
    child: (fields) => createConsoleLog({ ...bound, ...fields }),
  };
}
