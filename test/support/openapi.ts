/** Reads an OpenAPI document and holds values against its schemas. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents of any shape
export type Json = any;

const HTTP_METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export interface DocumentedOperation {
  httpMethod: string;
  path: string;
  operation: Json;
}

export class OpenApi {
  readonly document: Json;
  readonly #ajv: Ajv2020;
  readonly #validators = new WeakMap<Json, ValidateFunction>();

  constructor(document: Json) {
    this.document = document;
    this.#ajv = new Ajv2020({ strict: false, allErrors: true });
    this.#ajv.addFormat('date-time', (text) => !Number.isNaN(Date.parse(text)));
    this.#ajv.addFormat('email', /^[^@\s]+@[^@\s]+$/);
    this.#ajv.addFormat('byte', BASE64);
    for (const format of ['int32', 'int64', 'uint64', 'double', 'float', 'binary']) {
      this.#ajv.addFormat(format, true);
    }
    this.#ajv.addSchema({ ...document, $id: 'openapi' });
  }

  operations(): DocumentedOperation[] {
    return Object.entries<Json>(this.document.paths).flatMap(([path, item]) =>
      HTTP_METHODS.filter((httpMethod) => item[httpMethod]).map((httpMethod) => ({
        httpMethod: httpMethod.toUpperCase(),
        path,
        operation: item[httpMethod],
      })),
    );
  }

  /** What a value breaks of a schema of the document; empty when it is valid. */
  problems(schema: Json, value: unknown): string[] {
    const validate = this.#validators.get(schema) ?? this.#ajv.compile(withBase(schema));
    this.#validators.set(schema, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message }: ErrorObject) => `${instancePath} ${message}`,
    );
  }

  /** What a `$ref` leads to; undefined when it leads nowhere. */
  resolve(reference: string): Json {
    return reference
      .replace(/^#\//, '')
      .split('/')
      .reduce(
        (value: Json, key) => value?.[key.replaceAll('~1', '/').replaceAll('~0', '~')],
        this.document,
      );
  }
}

/** Every `$ref` within a value. */
export function referencesIn(value: Json): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = typeof value.$ref === 'string' ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(referencesIn)];
}

/** References of a part are meant from the root of the document. */
function withBase(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(withBase);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' ? `openapi${String(value)}` : withBase(value),
    ]),
  );
}
