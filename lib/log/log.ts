/**
 * The logger that code receives. Messages are constant lower-case phrases; all
 * data stands in fields, in snake_case with the unit last (`duration_ms`).
 * error: a person must act. warn: degraded, healed by itself. info: lifecycle
 * transitions and one line for each call. debug: steps.
 */
export type Fields = Record<string, unknown>;

export interface Log {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  /** A logger that adds these fields to every line. */
  child(fields: Fields): Log;
}

/** A logger that drops everything. */
export const silentLog: Log = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silentLog,
};
