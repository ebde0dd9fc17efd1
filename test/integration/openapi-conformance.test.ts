/**
 * Answers against the description of the API: for every operation requests that
 * are valid by its schemas, and such that are not, to a gateway with all that is
 * behind it.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { parse } from 'yaml';
import { plainSandbox } from '../support/control-plane.js';
import { answerOf } from '../support/first-answer.js';
import { Scene } from '../support/hostile/scene.js';
import { type DocumentedOperation, type Json, OpenApi } from '../support/openapi.js';
import { invalidValues, validValues } from '../support/schema-arbitrary.js';
import { type HttpAnswer, http } from './gateway-fixture.js';

const RUNS = 50;
const SEED = 20_261_123;
const HTTP_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Beyond these the answer says that something of ours is at fault, which none may. */
const FAULTS = new Set([500, 501, 502, 503]);
/** Copies that one fork of this test may ask for. */
const COPIES_MAX = 2;

/** A file that is there. */
const FILE = '/root/file';
/** Texts of which no kind of field takes all. */
const STRANGE_TEXTS = [
  '../x',
  'a b',
  'é',
  'a\0b',
  '-1',
  '99999999999',
  '1.5',
  'x'.repeat(9000),
  '~',
  '=',
];

/** What a request is made of: a parameter, or the body. */
interface Part {
  name: string;
  place: string;
  schema: Json;
  required: boolean;
}

interface Request {
  path: string;
  query: Record<string, Json>;
  body: Json;
}

describe('answers of the API', function () {
  this.timeout(120_000);
  let scene: Scene;
  let api: OpenApi;
  let sandboxId: string;
  /** Requests by kind and class of their status. */
  const tallies: Record<string, number> = {};

  before(async () => {
    scene = await Scene.open();
    const { body } = await http({ port: scene.platform.httpPort }, 'GET', '/openapi.yaml');
    api = new OpenApi(parse(body.toString()));
  });
  after(() => scene?.[Symbol.asyncDispose]());

  it('are as described for every operation', async function () {
    this.timeout(600_000);
    const problems: string[] = [];
    for (const operation of api.operations()) {
      await inNewSandbox(async () => {
        for (const [isValid, requests] of [
          [true, requestsOf(operation, true)],
          [false, requestsOf(operation, false)],
        ] as const) {
          if (!requests) continue;
          for (const request of fc.sample(requests, { numRuns: RUNS / 2, seed: SEED })) {
            const problem = await problemOf(operation, request, isValid);
            if (problem)
              problems.push(
                `${operation.operation.operationId}: ${problem} for ${JSON.stringify(request).slice(0, 300)}`,
              );
          }
        }
      });
    }
    expect(problems.slice(0, 20), `${problems.length} answers`).to.deep.equal([]);
    expect(scene.platform.faults).to.deep.equal([]);
    // Both kinds have been answered in both ways that they can be.
    expect(tallies['valid 2xx'], JSON.stringify(tallies)).to.be.above(200);
    expect(tallies['valid 4xx']).to.be.above(100);
    expect(tallies['invalid 4xx']).to.be.above(700);
  });

  it('name the methods of a path where it has not the one that is asked for', async () => {
    for (const [path, item] of Object.entries<Json>(api.document.paths)) {
      const known = HTTP_METHODS.filter((method) => item[method.toLowerCase()]);
      for (const method of HTTP_METHODS.filter((other) => !known.includes(other))) {
        const answer = await http({ port: scene.platform.httpPort }, method, exampleOf(path), {
          headers: scene.headers,
        });
        expect(answer.status, `${method} ${path}`).to.equal(405);
        const allowed = String(answer.headers.allow).split(', ');
        expect(allowed, path).to.include.members(known).and.not.include(method);
        expectStatusOf(answer, `${method} ${path}`);
      }
    }
  });

  it('ask for the credential of every operation that needs one', async () => {
    for (const { httpMethod, path, operation } of api.operations()) {
      if (operation.security.length === 0 || operation['x-websocket']) continue;
      const answer = await http({ port: scene.platform.httpPort }, httpMethod, exampleOf(path));
      expect(answer.status, operation.operationId).to.equal(401);
      expect(answer.headers['www-authenticate'], operation.operationId)
        .to.be.a('string')
        .and.not.equal('');
      expectStatusOf(answer, operation.operationId);
    }
  });

  it('refuse bodies of other types', async () => {
    for (const { httpMethod, path, operation } of api.operations()) {
      const content = operation.requestBody?.content;
      if (!content || content['*/*']) continue;
      for (const type of [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'application/json; charset=latin1',
      ]) {
        const headers = { ...scene.headers, 'content-type': type };
        const answer = await http({ port: scene.platform.httpPort }, httpMethod, exampleOf(path), {
          headers,
          body: '{}',
        });
        expect(answer.status, `${operation.operationId} ${type}`).to.equal(415);
        expectStatusOf(answer, operation.operationId);
      }
    }
  });

  /** What an operation does to a sandbox must not reach the next one. */
  async function inNewSandbox(use: () => Promise<void>): Promise<void> {
    const { sandboxes, files } = scene.platform.clients;
    const { asTeam } = scene.account;
    ({ sandboxId } = await sandboxes.createSandbox(plainSandbox(), asTeam));
    const path = FILE;
    await files.writeFile({ sandboxId, path, file: Buffer.from('x'), user: '', mode: 0 }, asTeam);
    await use();
    const all = { pageSize: 0, pageToken: '', states: [], metadata: [] };
    for (const { sandboxId: id } of (await sandboxes.listSandboxes(all, asTeam)).sandboxes) {
      if (id !== scene.names.sandboxId) await sandboxes.deleteSandbox({ sandboxId: id }, asTeam);
    }
  }

  /** Requests of an operation; none that are not valid for one that takes whatever there is. */
  function requestsOf(
    { path, operation }: DocumentedOperation,
    isValid: boolean,
  ): fc.Arbitrary<Request> | undefined {
    const parts = partsOf(operation);
    if (isValid) return requestWith(path, parts, undefined);
    const spoilable = parts.filter(({ schema, place }) => canBeInvalid(schema, place));
    if (spoilable.length === 0) return undefined;
    return fc.constantFrom(...spoilable).chain((spoilt) => requestWith(path, parts, spoilt));
  }

  function partsOf(operation: Json): Part[] {
    const body = operation.requestBody?.content['application/json']?.schema;
    const parameters = (operation.parameters ?? []).map(
      ({ name, in: place, schema, required }: Json) => ({ name, place, schema, required }),
    );
    return body
      ? [...parameters, { name: '', place: 'body', schema: body, required: true }]
      : parameters;
  }

  function requestWith(
    path: string,
    parts: Part[],
    spoilt: Part | undefined,
  ): fc.Arbitrary<Request> {
    const values = parts.map((part) => {
      if (part === spoilt) return invalidPart(part.schema, part.place);
      const good = known(part.name, part.schema);
      return part.required ? good : fc.option(good, { nil: undefined });
    });
    return fc.tuple(...values).map((chosen) => toRequest(path, parts, chosen));
  }

  /** A value of the query or the path is text, so one is not valid only when its text is not. */
  function invalidPart(schema: Json, place: string): fc.Arbitrary<Json> {
    return place === 'body' ? invalidValues(api, schema) : fc.constantFrom(...invalidTexts(schema));
  }

  function canBeInvalid(schema: Json, place: string): boolean {
    return place === 'body' || invalidTexts(schema).length > 0;
  }

  function invalidTexts(schema: Json): string[] {
    return STRANGE_TEXTS.filter((text) => api.problems(schema, asTyped(schema, text)).length > 0);
  }

  function asTyped(given: Json, text: string): Json {
    const schema = given.$ref ? api.resolve(given.$ref) : given;
    if (schema.type === 'array') return [asTyped(schema.items, text)];
    const isNumber = ['integer', 'number'].includes([schema.type].flat()[0]);
    return isNumber && text.trim() !== '' ? Number(text) : text;
  }

  /** Half of the names are of things that are there. */
  function known(name: string, schema: Json): fc.Arbitrary<Json> {
    const values = validValues(api, schema);
    const there: Record<string, Json> = {
      ...{ sandbox_id: sandboxId, process_id: scene.names.processId, path: FILE },
    };
    if (name === '') return fc.tuple(values, fc.boolean()).map(toUsual);
    if (name === 'user') return fc.constantFrom('root', 'nobody');
    return name in there ? fc.oneof(fc.constant(there[name]), values) : values;
  }

  async function problemOf(
    { httpMethod, path, operation }: DocumentedOperation,
    request: Request,
    isValid: boolean,
  ) {
    const answer = await answerOf(scene.platform.httpPort, {
      ...{ method: httpMethod, target: targetOf(request) },
      headers: {
        ...scene.headers,
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
    });
    const { status, headers } = answer;
    const tally = `${isValid ? 'valid' : 'invalid'} ${Math.floor(status / 100)}xx`;
    tallies[tally] = (tallies[tally] ?? 0) + 1;
    if (FAULTS.has(status)) return `status ${status}: ${answer.body}`;
    if (!isValid && status < 300) return `status ${status} of a request that is not valid`;
    const described = operation.responses[status] ?? operation.responses.default;
    const response = described.$ref ? api.resolve(described.$ref) : described;
    const type = String(headers['content-type']).split(';')[0] ?? '';
    const content = response.content?.[type];
    if (!content) return `${status} with content type ${type}`;
    const reason = reasonIn(answer.json);
    if (response['x-reasons'] && !response['x-reasons'].includes(reason))
      return `reason ${reason} of ${path}, not described`;
    if (hasRetry(answer.json) !== (headers['retry-after'] !== undefined))
      return `${status} ${reason}: retry-after`;
    const schema = type === 'application/x-ndjson' ? content.schema.contentSchema : content.schema;
    if (type === 'application/octet-stream') return undefined;
    const problems = api.problems(schema, answer.json);
    return problems.length > 0
      ? `${status}: ${problems.slice(0, 3).join('; ')} in ${answer.body.slice(0, 200)}`
      : undefined;
  }

  function expectStatusOf(answer: HttpAnswer, what: string): void {
    const { schema } = api.document.components.responses.Error.content['application/json'];
    expect(answer.headers['content-type'], what).to.equal('application/json');
    expect(api.problems(schema, answer.json), what).to.deep.equal([]);
  }

  function exampleOf(path: string): string {
    return path.replaceAll(/\{[a-z_]+\}/g, 'nothinghasthisid');
  }
});

/** Half of the bodies name what is there, so that more comes of them than that it is not. */
function toUsual([body, isUsual]: [Json, boolean]): Json {
  if (!isUsual || typeof body !== 'object') return body;
  const usual: Json = { ...body };
  for (const name of ['path', 'source']) if (name in usual) usual[name] = FILE;
  if ('cmd' in usual) usual.cmd = 'true';
  if ('process' in usual) usual.process = { ...usual.process, cmd: 'true' };
  for (const name of ['user', 'cwd', 'template', 'page_token']) delete usual[name];
  return usual;
}

function toRequest(path: string, parts: Part[], values: Json[]): Request {
  const request: Request = { path, query: {}, body: undefined };
  parts.forEach(({ name, place }, index) => {
    const value = values[index];
    if (value === undefined) return;
    if (place === 'path')
      request.path = request.path.replace(`{${name}}`, () => encodeURIComponent(value));
    else if (place === 'query') request.query[name] = value;
    else
      request.body =
        typeof value?.count === 'number'
          ? { ...value, count: Math.min(value.count, COPIES_MAX) }
          : value;
  });
  return request;
}

function targetOf({ path, query }: Request): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((each) => `${name}=${encodeURIComponent(each)}`),
  );
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}

const detailOf = (json: Json, type: string) =>
  json?.details?.find(
    (detail: Json) => detail['@type'] === `type.googleapis.com/google.rpc.${type}`,
  );
const reasonIn = (json: Json) => detailOf(json, 'ErrorInfo')?.reason;
const hasRetry = (json: Json) => detailOf(json, 'RetryInfo') !== undefined;
