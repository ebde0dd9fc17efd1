import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { compileLibrary, compileProto } from '../../test/support/compile-proto.js';
import { type Json, OpenApi } from '../../test/support/openapi.js';
import { buildDocument } from './document.js';
import { ERROR_CODES } from './error-codes.js';
import { httpStatusesOf } from './error-schemas.js';

const HEADER = `
  syntax = "proto3";
  package test.v1;
  import "buf/validate/validate.proto";
  import "google/api/annotations.proto";
  import "google/api/httpbody.proto";
  import "google/protobuf/struct.proto";
  import "google/protobuf/timestamp.proto";
  // S does things.
  service S {
    // Do does one thing. It takes a while,
    // and says so.
    //
    // Twice.
    rpc Do(Thing) returns (Answer) { option (google.api.http) = {post: "/v1/things/{id}" body: "*"}; }
    // Follow follows.
    rpc Follow(Thing) returns (stream Answer) { option (google.api.http) = {get: "/v1/things/{id}/follow"}; }
    // Upload takes a file.
    rpc Upload(stream File) returns (Answer) { option (google.api.http) = {post: "/v1/files/{name}" body: "file"}; }
    // Download returns a file.
    rpc Download(File) returns (stream google.api.HttpBody) {
      option (google.api.http) = {get: "/v1/files/{name}" additional_bindings {get: "/v1/content/{name}"}};
    }
  }
  message File { string name = 1; google.api.HttpBody file = 2; bool fast = 3; }
  message Answer { string text = 1; repeated Color colors = 2; Answer inner = 3; optional int32 count = 4; }
  // Color is a color.
  enum Color {
    // None.
    COLOR_UNSPECIFIED = 0;
    // Red.
    COLOR_RED = 1;
  }
`;

/** The document of a message of these fields beside an id, with the routes above. */
async function documentOf(fields: string): Promise<OpenApi> {
  const registry = await compileProto(`${HEADER} message Thing { string id = 1;\n${fields} }`);
  const options = { packageName: 'test.v1', version: '1', examples: new Map() };
  return new OpenApi(buildDocument({ registry, ...options, parameterExamples: { id: 'a' } }));
}

async function propertyOf(field: string): Promise<Json> {
  const { document } = await documentOf(field);
  const { properties, required = [] } = document.components.schemas.Thing;
  const { value } = properties;
  return required.includes('value') ? { ...value, required: true } : value;
}

describe('the schema of a field', () => {
  const cases: [string, Json][] = [
    ['string value = 2;', { type: 'string' }],
    ['bool value = 2;', { type: 'boolean' }],
    ['int32 value = 2;', { type: 'integer', format: 'int32' }],
    ['uint32 value = 2;', { type: 'integer', minimum: 0, maximum: 4294967295 }],
    ['int64 value = 2;', { type: 'string', format: 'int64', pattern: '^-?[0-9]+$' }],
    ['fixed64 value = 2;', { type: 'string', format: 'uint64', pattern: '^[0-9]+$' }],
    ['double value = 2;', { type: 'number', format: 'double' }],
    ['bytes value = 2;', { type: 'string', format: 'byte', contentEncoding: 'base64' }],
    ['repeated string value = 2;', { type: 'array', items: { type: 'string' } }],
    [
      'map<string, double> value = 2;',
      { type: 'object', additionalProperties: { type: 'number', format: 'double' } },
    ],
    ['google.protobuf.Timestamp value = 2;', { type: 'string', format: 'date-time' }],
    ['google.protobuf.Struct value = 2;', { type: 'object', additionalProperties: true }],
    ['Color value = 2;', { $ref: '#/components/schemas/Color' }],
    ['Answer value = 2;', { $ref: '#/components/schemas/Answer' }],
    [
      '// What it is.\n string value = 2 [(buf.validate.field).string = {min_len: 1 max_len: 9 pattern: "^a*$"}];',
      {
        type: 'string',
        minLength: 1,
        maxLength: 9,
        pattern: '^a*$',
        description: 'What it is.',
        required: true,
      },
    ],
    [
      'string value = 2 [(buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE, (buf.validate.field).string.pattern = "^a$"];',
      { type: 'string', pattern: '^$|^a$' },
    ],
    [
      'int32 value = 2 [(buf.validate.field).int32 = {gte: 0 lte: 5}];',
      { type: 'integer', format: 'int32', minimum: 0, maximum: 5 },
    ],
    [
      'uint32 value = 2 [(buf.validate.field).uint32 = {gt: 0 lt: 5}];',
      {
        type: 'integer',
        minimum: 0,
        maximum: 4294967295,
        exclusiveMinimum: 0,
        exclusiveMaximum: 5,
        required: true,
      },
    ],
    [
      'bytes value = 2 [(buf.validate.field).bytes.max_len = 4];',
      { type: 'string', format: 'byte', contentEncoding: 'base64', maxLength: 8 },
    ],
    [
      'repeated string value = 2 [(buf.validate.field).repeated = {min_items: 1 max_items: 3 items: {string: {max_len: 2}}}];',
      {
        type: 'array',
        items: { type: 'string', maxLength: 2 },
        minItems: 1,
        maxItems: 3,
        required: true,
      },
    ],
    [
      'map<string, string> value = 2 [(buf.validate.field).map = {max_pairs: 2 keys: {string: {pattern: "^k$"}} values: {string: {max_bytes: 3}}}];',
      {
        type: 'object',
        additionalProperties: {
          type: 'string',
          maxLength: 3,
          description: 'At most 3 bytes of UTF-8.',
        },
        propertyNames: { pattern: '^k$' },
        maxProperties: 2,
      },
    ],
    [
      'Color value = 2 [(buf.validate.field).enum = {defined_only: true not_in: [0]}];',
      { type: 'string', enum: ['COLOR_RED'], required: true },
    ],
    [
      'Answer value = 2 [(buf.validate.field).required = true];',
      { $ref: '#/components/schemas/Answer', required: true },
    ],
  ];
  for (const [field, expected] of cases) {
    it(`is right for ${field}`, async () => {
      expect(await propertyOf(field)).to.deep.equal(expected);
    });
  }

  const refused: [string, string, RegExp][] = [
    ['a rule', 'string value = 2 [(buf.validate.field).string.prefix = "a"];', /prefix/],
    [
      'an expression',
      'string value = 2 [(buf.validate.field).cel = {id: "mine" message: "m" expression: "true"}];',
      /mine/,
    ],
    ['a pattern', 'string value = 2 [(buf.validate.field).string.pattern = "(?i)a"];', /ECMA-262/],
  ];
  for (const [what, field, expected] of refused) {
    it(`is refused when ${what} has no translation`, async () => {
      const message = await propertyOf(field).then(
        () => 'no error',
        (error: Error) => error.message,
      );
      expect(message).to.match(expected);
    });
  }
});

describe('the schema of a message', () => {
  it('takes known fields only in a request, without those of the path', async () => {
    const { document } = await documentOf('string value = 2;');
    const { properties, additionalProperties } = document.components.schemas.Thing;
    expect(properties).to.have.all.keys('value');
    expect(additionalProperties).to.equal(false);
  });

  it('has every field without presence in an answer', async () => {
    const { document } = await documentOf('');
    const { required, additionalProperties } = document.components.schemas.Answer;
    expect(required).to.deep.equal(['text', 'colors']);
    expect(additionalProperties).to.equal(undefined);
  });

  it('allows at most one member of a choice, and asks for one that is required', async () => {
    const members = 'string a = 2; string b = 3;';
    const free = await documentOf(`oneof choice { ${members} } string other = 4;`);
    const schema = { $ref: '#/components/schemas/Thing' };
    expect(free.problems(schema, { other: 'o' })).to.deep.equal([]);
    expect(free.problems(schema, { a: 'a', other: 'o' })).to.deep.equal([]);
    expect(free.problems(schema, { a: 'a', b: 'b' })).not.to.be.empty;
    const rule = 'option (buf.validate.oneof).required = true;';
    const required = await documentOf(`oneof choice { ${rule} ${members} } string other = 4;`);
    expect(required.problems(schema, { other: 'o' })).not.to.be.empty;
    expect(required.problems(schema, { b: 'b', other: 'o' })).to.deep.equal([]);
  });

  it('lists the values of an enum with their meaning', async () => {
    const { document } = await documentOf('Color color = 2;');
    const { description, ...schema } = document.components.schemas.Color;
    expect(schema).to.deep.equal({ type: 'string', enum: ['COLOR_UNSPECIFIED', 'COLOR_RED'] });
    expect(description).to.equal(
      'Color is a color.\n\n- `COLOR_UNSPECIFIED`: None.\n- `COLOR_RED`: Red.',
    );
  });
});

describe('an operation', () => {
  let paths: Json;

  before(async () => {
    paths = (await documentOf('string value = 2; Answer filter = 3;')).document.paths;
  });

  it('is described by the comment of its method', () => {
    const { summary, description, tags } = paths['/v1/things/{id}'].post;
    expect(summary).to.equal('Does one thing');
    expect(description).to.equal('Do does one thing. It takes a while, and says so.\n\nTwice.');
    expect(tags).to.deep.equal(['S']);
  });

  it('has parameters for the path and for fields of the query, also inner ones', () => {
    const { parameters } = paths['/v1/things/{id}/follow'].get;
    const named = parameters.map((parameter: Json) => `${parameter.in} ${parameter.name}`);
    expect(named).to.deep.equal([
      ...['path id', 'query value', 'query filter.text'],
      ...['query filter.colors', 'query filter.count'],
    ]);
    expect(parameters[0]).to.include({ required: true, example: 'a' });
  });

  it('answers a stream line by line, or as events', () => {
    const { content } = paths['/v1/things/{id}/follow'].get.responses[200];
    expect(content).to.have.all.keys('application/x-ndjson', 'text/event-stream');
    expect(content['application/x-ndjson'].schema.contentSchema).to.deep.equal({
      type: 'array',
      items: { $ref: '#/components/schemas/AnswerLine' },
    });
  });

  it('takes a file as it is, or as a form', () => {
    const { requestBody, parameters } = paths['/v1/files/{name}'].post;
    expect(Object.keys(requestBody.content)).to.deep.equal([
      ...['application/octet-stream', '*/*', 'multipart/form-data'],
    ]);
    expect(requestBody.content['*/*'].schema).to.include({ type: 'string', format: 'binary' });
    const { properties } = requestBody.content['multipart/form-data'].schema;
    expect(Object.keys(properties)).to.deep.equal(['fast', 'file']);
    expect(parameters.map(({ name }: Json) => name)).to.deep.equal(['name', 'fast']);
  });

  it('has an id of its own for each binding', () => {
    const ids = [paths['/v1/files/{name}'].get, paths['/v1/content/{name}'].get].map(
      ({ operationId }: Json) => operationId,
    );
    expect(ids).to.have.members(['S_Download', 'S_Download_2']);
  });

  it('writes wildcards of any template as parameters', async () => {
    const library = buildDocument({
      registry: await compileLibrary(),
      ...{ packageName: 'test.library.v1', version: '1', examples: new Map() },
      parameterExamples: {},
    }) as Json;
    expect(library.paths).to.include.keys(
      '/v1/shelves/{name_1}/books/{name_2}',
      '/v1/authors/{author.name}/book',
      '/v1/files/{name}',
      '/v1/books/{id}:lend',
    );
  });
});

describe('the table of error codes', () => {
  it('says what docs/errors.md says', async () => {
    const text = await readFile(join(packageRoot(), 'docs', 'errors.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| ([A-Z_, ]+) \| ([0-9, ]+) \|/gm)];
    expect(rows.map(([, reason]) => reason)).to.have.members(Object.keys(ERROR_CODES));
    const { status } = await import('@grpc/grpc-js');
    for (const [, name, codes, statuses] of rows) {
      const reason = name as keyof typeof ERROR_CODES;
      expect(ERROR_CODES[reason].map((code) => status[code]).join(', '), reason).to.equal(codes);
      expect(httpStatusesOf(reason).join(', '), reason).to.equal(statuses);
    }
  });
});
