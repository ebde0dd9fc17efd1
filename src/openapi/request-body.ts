/** What a request's body may be: JSON, a form, or the bytes of a file. */
import { type DescMessage, type JsonObject, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { takesText } from '../gateway/field-path.js';
import type { PathTemplate } from '../gateway/path-template.js';
import { isRequired, rulesOf } from './field-rules.js';
import { fieldSchema } from './field-schema.js';
import type { Operation } from './operations.js';
import type { Schemas } from './schemas.js';
import { RAW_BYTES, type Schema } from './well-known.js';

const HTTP_BODY = 'google.api.HttpBody';

/** The body of an operation; undefined when it takes none. */
export function requestBody(
  operation: Operation,
  schemas: Schemas,
  example: JsonValue | undefined,
): JsonObject | undefined {
  const { body } = operation.route;
  switch (body.kind) {
    case 'none':
      return undefined;
    case 'raw':
      return rawBody(operation, schemas);
    case 'field': {
      const required = isRequired(body.field, rulesOf(body.field, schemas.registry));
      const json = jsonContent(fieldSchema(body.field, schemas), example);
      return { required, content: { 'application/json': json } };
    }
    case 'message':
      return messageBody(operation, schemas, example);
  }
}

function messageBody(
  { route: { input, template, upload } }: Operation,
  schemas: Schemas,
  example: JsonValue | undefined,
): JsonObject {
  const omitted = fieldsOfPath(template);
  const json = jsonContent(schemas.referenceWithout(input, omitted), example);
  const required = input.fields.some(
    (field) => !omitted.has(field.name) && isRequired(field, rulesOf(field, schemas.registry)),
  );
  return {
    required,
    content: {
      'application/json': json,
      ...(upload ? { 'multipart/form-data': form(input, omitted, schemas) } : {}),
    },
  };
}

function jsonContent(schema: Schema, example: JsonValue | undefined): JsonObject {
  return { schema, ...(example === undefined ? {} : { example }) };
}

/** A file as it is; or a form, whose parts stand for the fields of the query too. */
function rawBody({ route: { input, template } }: Operation, schemas: Schemas): JsonObject {
  const raw = { schema: RAW_BYTES };
  return {
    required: false,
    description: 'The bytes of the file, of any content type but that of a form; or a form.',
    content: {
      'application/octet-stream': raw,
      '*/*': raw,
      'multipart/form-data': form(input, fieldsOfPath(template), schemas),
    },
  };
}

/** The top-level fields that the path holds. */
function fieldsOfPath({ variables }: PathTemplate): Set<string> {
  const paths = variables.map(({ fieldPath }) => fieldPath);
  return new Set(paths.filter((path) => !path.includes('.')));
}

/** Each part of a form is a field; one of bytes takes the part as it is, a file of any size. */
function form(message: DescMessage, omitted: Set<string>, schemas: Schemas): JsonObject {
  const fields = message.fields.filter((field) => !omitted.has(field.name));
  const isFile = ({ scalar, message: type }: (typeof fields)[number]) =>
    scalar === ScalarType.BYTES || type?.typeName === HTTP_BODY;
  // A file comes last: by then all else is known, and it is written as it arrives.
  const parts = [
    ...fields.filter((field) => !isFile(field) && takesText(field)),
    ...fields.filter(isFile),
  ];
  const properties = parts.map((field): [string, Schema] => [
    field.name,
    isFile(field)
      ? { ...RAW_BYTES, description: 'The file; the last part.' }
      : fieldSchema(field, schemas),
  ]);
  const required = parts.filter(
    (field) => isFile(field) || isRequired(field, rulesOf(field, schemas.registry)),
  );
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(properties),
      required: required.map(({ name }) => name),
    },
  };
}
