/** The logger of the daemons: one JSON object a line on standard error, secrets removed. */
import winston from 'winston';
import type { Fields, Log } from './log.js';
import { redact } from './redact.js';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Makes a daemon's logger. `fields` stand on every line. */
export function createLog(level: LogLevel, fields: Fields): Log {
  const withoutSecrets = winston.format((info) => {
    const { level: infoLevel, message, ...rest } = info;
    Object.assign(info, redact(rest), { level: infoLevel, message });
    return info;
  });
  const logger = winston.createLogger({
    level,
    defaultMeta: fields,
    format: winston.format.combine(
      withoutSecrets(),
      winston.format.timestamp(),
      winston.format.json(),
    ),
    transports: [new winston.transports.Console({ stderrLevels: [...LOG_LEVELS] })],
  });
  return fromWinston(logger);
}

function fromWinston(logger: winston.Logger): Log {
  return {
    error: (message, fields) => void logger.error(message, fields),
    warn: (message, fields) => void logger.warn(message, fields),
    info: (message, fields) => void logger.info(message, fields),
    debug: (message, fields) => void logger.debug(message, fields),
    child: (fields) => fromWinston(logger.child(fields)),
  };
}
