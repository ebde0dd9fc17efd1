/**
 * The schemas of the document's messages and enums, each under its name. What a
 * caller sends and what it gets differ: of a request only known fields are
 * taken, in an answer every field without presence stands.
 */
import type {
  DescEnum,
  DescField,
  DescMessage,
  DescOneof,
  FileRegistry,
  JsonObject,
} from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { commentOf } from './comments.js';
import { isRequired, isRequiredOneof, rulesOf } from './field-rules.js';
import { fieldSchema, type TypeSchemas } from './field-schema.js';
import { type Schema, wellKnownSchema } from './well-known.js';

export class Schemas implements TypeSchemas {
  readonly registry: FileRegistry;
  readonly #packageName: string;
  readonly #answered: Set<string>;
  readonly #schemas = new Map<string, Schema>();

  /** @param received the messages of which answers are made; all others are only sent. */
  constructor(registry: FileRegistry, packageName: string, received: DescMessage[]) {
    this.registry = registry;
    this.#packageName = packageName;
    this.#answered = new Set(received.flatMap((message) => [...typesWithin(message)]));
  }

  reference(type: DescMessage | DescEnum): Schema {
    const name = this.nameOf(type);
    if (!this.#schemas.has(name)) {
      // The name is taken first: a message may hold itself.
      this.#schemas.set(name, {});
      this.#schemas.set(name, type.kind === 'enum' ? enumSchema(type) : this.messageSchema(type));
    }
    return refTo(name);
  }

  /** A reference to the schema of a message without the fields that stand elsewhere in a request. */
  referenceWithout(message: DescMessage, omitted: ReadonlySet<string>): Schema {
    if (omitted.size === 0) return this.reference(message);
    const schema = this.messageSchema(message, omitted);
    const name = this.nameOf(message);
    const present = this.#schemas.get(name);
    if (present && JSON.stringify(present) !== JSON.stringify(schema)) return schema;
    this.#schemas.set(name, schema);
    return refTo(name);
  }

  messageSchema(message: DescMessage, omitted: ReadonlySet<string> = new Set()): Schema {
    const wellKnown = wellKnownSchema(message);
    if (wellKnown) return wellKnown;
    const fields = message.fields.filter(({ name }) => !omitted.has(name));
    const isAnswer = this.#answered.has(message.typeName);
    const required = fields.filter((field) =>
      isAnswer ? isAlwaysThere(field) : isRequired(field, rulesOf(field, this.registry)),
    );
    const description = commentOf(message);
    return {
      type: 'object',
      ...(description ? { description } : {}),
      properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field, this)])),
      ...(required.length > 0 ? { required: required.map(({ name }) => name) } : {}),
      ...(isAnswer ? {} : { additionalProperties: false }),
      ...choices(message, this.registry),
    };
  }

  /** Adds a schema that no descriptor stands for. */
  add(name: string, schema: Schema): Schema {
    this.#schemas.set(name, schema);
    return refTo(name);
  }

  /** All schemas by name, in the order of the names. */
  all(): JsonObject {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A type of the package by its short name, any other by its full one. */
  nameOf({ typeName }: DescMessage | DescEnum): string {
    const prefix = `${this.#packageName}.`;
    return typeName.startsWith(prefix) ? typeName.slice(prefix.length) : typeName;
  }
}

export function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function enumSchema(type: DescEnum): Schema {
  const values = type.values.map((value) => `- \`${value.name}\`: ${commentOf(value)}`);
  return {
    type: 'string',
    description: [commentOf(type), values.join('\n')].filter(Boolean).join('\n\n'),
    enum: type.values.map(({ name }) => name),
  };
}

/** The gateway prints fields without presence whatever their value. */
function isAlwaysThere(field: DescField): boolean {
  return field.oneof === undefined && field.presence === FeatureSet_FieldPresence.IMPLICIT;
}

/** Of a required oneof one member is there, of any other at most one. */
function choices({ oneofs, fields }: DescMessage, registry: FileRegistry): Schema {
  // A message that is nothing but a choice would say nothing without it.
  const isOnlyChoice = oneofs.length === 1 && fields.every(({ oneof }) => oneof !== undefined);
  const rules = oneofs.map((oneof) =>
    isOnlyChoice || isRequiredOneof(oneof, registry) ? exactlyOne(oneof) : atMostOne(oneof),
  );
  return rules.length > 1 ? { allOf: rules } : (rules[0] ?? {});
}

function exactlyOne({ fields }: DescOneof): Schema {
  const variants = fields.map(({ name }) => ({
    title: name,
    properties: { [name]: {} },
    required: [name],
  }));
  return { oneOf: variants };
}

function atMostOne({ fields }: DescOneof): Schema {
  const dependencies = fields.map(({ name }) => {
    const others = fields.filter((other) => other.name !== name);
    return [name, { properties: Object.fromEntries(others.map((other) => [other.name, false])) }];
  });
  return { dependentSchemas: Object.fromEntries(dependencies) as JsonObject };
}

/** The names of a message's type and of all message types in it. */
function typesWithin(message: DescMessage, found = new Set<string>()): Set<string> {
  if (found.has(message.typeName)) return found;
  found.add(message.typeName);
  for (const field of message.fields) {
    if (field.message) typesWithin(field.message, found);
  }
  return found;
}
