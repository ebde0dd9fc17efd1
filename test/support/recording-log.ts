/** A log that keeps its lines as the daemons' logger would print them, of all levels. */
import type { Fields, Log } from '../../lib/log/log.js';
import { redact } from '../../lib/log/redact.js';

export interface RecordingLog extends Log {
  readonly lines: string[];
}

export function createRecordingLog(): RecordingLog {
  const lines: string[] = [];
  return { ...recorder(lines, {}), lines };
}

function recorder(lines: string[], common: Fields): Log {
  const write =
    (level: string) =>
    (message: string, fields: Fields = {}) => {
      lines.push(
        JSON.stringify({ level, message, ...(redact({ ...common, ...fields }) as Fields) }),
      );
    };
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: (fields) => recorder(lines, { ...common, ...fields }),
  };
}
