/** google.rpc.Status as the gateway writes it, with the details and reasons that Wrenn has. */
import type { DescEnum, JsonObject } from '@bufbuild/protobuf';
import { Code, ERROR_DOMAIN, type Reason } from '../../lib/errors/index.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { httpStatusOf } from '../gateway/http-status.js';
import { commentOf } from './comments.js';
import { ERROR_CODES } from './error-codes.js';
import { refTo, type Schemas } from './schemas.js';
import type { Schema } from './well-known.js';

const REASON_PREFIX = 'ERROR_REASON_';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';

export const STATUS_SCHEMA = refTo('google.rpc.Status');

/** What each reason means, as its comment says. */
export type ReasonMeanings = ReadonlyMap<Reason, string>;

/** Reads the meanings out of the enum of reasons, which every API of Wrenn answers with. */
export function reasonMeanings(): ReasonMeanings {
  const reasons = descriptors().registry.getEnum('wrenn.v1.ErrorReason');
  if (!reasons) throw new Error('the descriptor set lacks wrenn/v1/errors.proto');
  return new Map(reasons.values.map((value) => [shortName(value), commentOf(value)]));
}

/** Adds the schemas of errors. */
export function addErrorSchemas(schemas: Schemas, meanings: ReasonMeanings): void {
  schemas.add('Reason', reasonSchema(meanings));
  schemas.add(
    'google.rpc.ErrorInfo',
    detailSchema('ErrorInfo', 'What happened, for programs.', {
      reason: { ...refTo('Reason'), description: 'Stable name of what happened.' },
      domain: { type: 'string', const: ERROR_DOMAIN },
      metadata: {
        type: 'object',
        description:
          'Ids, states and limits; `request_id` finds the call in the log of the server.',
        additionalProperties: { type: 'string' },
      },
    }),
  );
  schemas.add('google.rpc.BadRequest', badRequestSchema());
  schemas.add(
    'google.rpc.RetryInfo',
    detailSchema('RetryInfo', 'Trying again may help; over HTTP `Retry-After` says the same.', {
      retry_delay: { type: 'string', pattern: '^[0-9]+(\\.[0-9]{1,9})?s$' },
    }),
  );
  schemas.add('google.rpc.Status', statusSchema());
}

/** One line of Markdown for a reason: its code and meaning. */
export function describeReason(reason: Reason, meanings: ReasonMeanings): string {
  const codes = ERROR_CODES[reason].map((code) => Code[code]).join(', ');
  return `\`${reason}\` (${codes}): ${meanings.get(reason) ?? ''}`;
}

/** An error as it is answered with one of the HTTP statuses of its reason. */
export function statusExample(
  reason: Reason,
  httpStatus: number,
  meanings: ReasonMeanings,
): Schema {
  const codes = ERROR_CODES[reason];
  const code = codes.find((each) => httpStatusOf(each, reason) === httpStatus) ?? codes[0];
  const metadata = { request_id: 'k3yqmgqxq2oqqrzve57wqankxk' };
  return {
    code: code ?? Code.UNKNOWN,
    message: meanings.get(reason) ?? '',
    details: [{ '@type': `${TYPE_PREFIX}ErrorInfo`, reason, domain: ERROR_DOMAIN, metadata }],
  };
}

/** The HTTP statuses with which a reason comes. */
export function httpStatusesOf(reason: Reason): number[] {
  return [...new Set(ERROR_CODES[reason].map((code) => httpStatusOf(code, reason)))];
}

function reasonSchema(meanings: ReasonMeanings): Schema {
  const lines = [...meanings.keys()].map((reason) => {
    const statuses = httpStatusesOf(reason).join(', ');
    return `- HTTP ${statuses}: ${describeReason(reason, meanings)}`;
  });
  return {
    type: 'string',
    description: `Why a call failed.\n\n${lines.join('\n')}`,
    enum: [...meanings.keys()],
  };
}

function badRequestSchema(): Schema {
  const text = { type: 'string' };
  return detailSchema('BadRequest', 'The fields that break a rule.', {
    field_violations: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          field: { ...text, description: 'Path of the field, such as `env["PATH"]`.' },
          description: { ...text, description: 'The same in words.' },
          reason: { ...text, description: 'Id of the rule, such as `string.pattern`.' },
          localized_message: { type: 'object' },
        },
        required: ['field', 'description', 'reason'],
      },
    },
  });
}

function statusSchema(): Schema {
  const details = ['ErrorInfo', 'BadRequest', 'RetryInfo'].map((name) =>
    refTo(`google.rpc.${name}`),
  );
  return {
    type: 'object',
    description: 'An error, as every call answers it.',
    properties: {
      code: { type: 'integer', description: 'gRPC status code.', minimum: 1, maximum: 16 },
      message: { type: 'string', description: 'What happened, for people. Its words may change.' },
      details: { type: 'array', items: { oneOf: details } },
    },
    required: ['code', 'message', 'details'],
  };
}

function detailSchema(name: string, description: string, properties: JsonObject): Schema {
  return {
    type: 'object',
    description,
    properties: { '@type': { type: 'string', const: `${TYPE_PREFIX}${name}` }, ...properties },
    required: ['@type', ...Object.keys(properties)],
  };
}

function shortName({ name }: DescEnum['values'][number]): Reason {
  return name.slice(REASON_PREFIX.length) as Reason;
}
