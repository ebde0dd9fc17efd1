import type { Fields, Log } from '../../lib/log/log.js';
import { redact } from '../../lib/log/redact.js';
import type { LogFile } from './log-file.js';

/** A Log that writes JSON lines, like those of the daemons, for what runs in the supervisor. */
export function createFileLog(file: LogFile, fields: Fields): Log {
  const write = (level: string) => (message: string, more?: Fields) => {
    const line = { ...fields, ...more, level, message, timestamp: new Date().toISOString() };
    file.append(JSON.stringify(redact(line)));
  };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (more) => createFileLog(file, { ...fields, ...more }),
  };
}
