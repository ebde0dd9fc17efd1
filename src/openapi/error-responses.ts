/** The error responses of all operations; those with the same reasons are one part of the document. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { Reason } from '../../lib/errors/index.js';
import {
  describeReason,
  httpStatusesOf,
  type ReasonMeanings,
  STATUS_SCHEMA,
  statusExample,
} from './error-schemas.js';

const REQUEST_ID = { 'x-request-id': { $ref: '#/components/headers/RequestId' } };
const RETRY_AFTER = { 'retry-after': { $ref: '#/components/headers/RetryAfter' } };
/** What may pass when it is tried again carries the time after which to try. */
const RETRIED = new Set([429, 503]);

const ANY_ERROR = 'Error';

export class ErrorResponses {
  readonly meanings: ReasonMeanings;
  /** Names by status and reasons. */
  readonly #names = new Map<string, string>();
  readonly #responses: JsonObject = {};

  constructor(meanings: ReasonMeanings) {
    this.meanings = meanings;
    this.#responses[ANY_ERROR] = anyError(meanings);
  }

  /** The errors with these reasons by HTTP status, those of one status together. */
  referencesTo(reasons: Reason[]): JsonObject {
    const byStatus = new Map<number, Reason[]>();
    for (const reason of reasons) {
      for (const status of httpStatusesOf(reason)) {
        byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
      }
    }
    const references = [...byStatus].map(([status, group]) => [
      status,
      referenceTo(this.#nameOf(status, group)),
    ]);
    return { ...Object.fromEntries(references), default: referenceTo(ANY_ERROR) };
  }

  /** All responses by name. */
  all(): JsonObject {
    return Object.fromEntries(Object.entries(this.#responses).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #nameOf(status: number, reasons: Reason[]): string {
    const key = [status, ...reasons].join(' ');
    const known = this.#names.get(key);
    if (known) return known;
    const alike = [...this.#names.keys()].filter((other) => other.startsWith(`${status} `)).length;
    const name = `Error${status}${alike === 0 ? '' : `_${alike + 1}`}`;
    this.#names.set(key, name);
    this.#responses[name] = this.#response(status, reasons);
    return name;
  }

  #response(status: number, reasons: Reason[]): JsonObject {
    const [first = 'INTERNAL'] = reasons;
    const example = statusExample(first, status, this.meanings);
    return {
      description: reasons.map((reason) => `- ${describeReason(reason, this.meanings)}`).join('\n'),
      headers: RETRIED.has(status) ? { ...REQUEST_ID, ...RETRY_AFTER } : REQUEST_ID,
      content: { 'application/json': { schema: STATUS_SCHEMA, example } },
      'x-reasons': reasons,
    };
  }
}

/** The headers that answers carry. */
export function sharedHeaders(): JsonObject {
  return {
    RequestId: {
      description: 'Id of the call, which its line in the log of the server holds.',
      schema: { type: 'string' },
    },
    RetryAfter: {
      description: 'Seconds after which to try again, when that may help.',
      schema: { type: 'integer', minimum: 0 },
    },
  };
}

function anyError(meanings: ReasonMeanings): JsonObject {
  const example = statusExample('INTERNAL', 500, meanings);
  return {
    description:
      'Any other error. A request whose headers are too many is answered 431, one that does not ' +
      'arrive in time 408.',
    headers: REQUEST_ID,
    content: { 'application/json': { schema: STATUS_SCHEMA, example } },
  };
}

function referenceTo(name: string): JsonObject {
  return { $ref: `#/components/responses/${name}` };
}
