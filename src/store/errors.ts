/** What goes wrong between us and Postgres, in Wrenn's terms. */
import { Code, WrennError } from '../../lib/errors/index.js';

const RETRY_AFTER_SEC = 2;

/** SQLSTATEs of a server that cannot serve: connection (08), resources (53), shutdown and time-out (57). */
const UNAVAILABLE_STATES = /^(?:08...|53...|57P0.|57014|55P03|25P03|40001|40P01)$/;
/** Codes and messages of Node, pg and Knex for a server that is not there. */
const UNAVAILABLE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const UNAVAILABLE_MESSAGES =
  /connection terminated|connection ended unexpectedly|timeout (?:expired|exceeded)|query read timeout|client has encountered a connection error|not queryable|acquiring a connection|unable to acquire/i;

const UNIQUE_VIOLATION = '23505';

/** Turns a rejected query into what a caller may see. */
export function toStoreError(thrown: unknown): unknown {
  if (thrown instanceof WrennError || !isUnavailable(thrown)) return thrown;
  return new WrennError(
    Code.UNAVAILABLE,
    'DATABASE_UNAVAILABLE',
    'the database does not answer; try again',
    { cause: thrown, retryAfterSec: RETRY_AFTER_SEC },
  );
}

/** Whether a query was rejected because a row with the same value of a unique index exists. */
export function breaksUnique(thrown: unknown, constraint: string): boolean {
  const { code, constraint: name } = thrown as { code?: unknown; constraint?: unknown };
  return thrown instanceof Error && code === UNIQUE_VIOLATION && name === constraint;
}

function isUnavailable(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (thrown instanceof AggregateError) return thrown.errors.some(isUnavailable);
  const { code } = thrown as { code?: unknown };
  if (typeof code === 'string' && (UNAVAILABLE_STATES.test(code) || UNAVAILABLE_CODES.has(code))) {
    return true;
  }
  return UNAVAILABLE_MESSAGES.test(thrown.message);
}
