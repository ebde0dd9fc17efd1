/** The description of the API, as the gateway serves it, against the API. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { expect } from 'chai';
import { parse } from 'yaml';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { createRequestCheck } from '../../lib/rpc/validation.js';
import { bindRequest } from '../../src/gateway/bind-request.js';
import { parseTarget } from '../../src/gateway/request-path.js';
import { buildRouteTable, type Route } from '../../src/gateway/route-table.js';
import { EXAMPLES } from '../../src/openapi/examples.js';
import { METHODS_WITH_ERRORS } from '../../src/openapi/operation-errors.js';
import { readOperations } from '../../src/openapi/operations.js';
import { openApiPath } from '../../src/openapi/parameters.js';
import { type DocumentedOperation, type Json, OpenApi, referencesIn } from '../support/openapi.js';
import { type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';

const { registry } = descriptors();
const routeTable = buildRouteTable(registry, 'wrenn.v1');
const operations = readOperations(registry, 'wrenn.v1');

/** What the gateway answers in other than JSON. */
const isJson = (mediaType: string) => mediaType === 'application/json';

describe('the API description', () => {
  let gateway: GatewayFixture;
  let text: string;
  let api: OpenApi;

  before(async () => {
    gateway = await startGatewayFixture({});
    text = (await http(gateway, 'GET', '/openapi.yaml')).body.toString();
    api = new OpenApi(parse(text));
  });

  after(() => gateway.close());

  const documented = ({ httpMethod, path }: { httpMethod: string; path: string }) =>
    api.operations().find((other) => other.httpMethod === httpMethod && other.path === path);

  const each = (check: (operation: DocumentedOperation, name: string) => void) => {
    expect(api.operations()).to.have.length.above(30);
    for (const operation of api.operations()) check(operation, operation.operation.operationId);
  };

  it('is the committed file', async () => {
    expect(text).to.equal(await readFile(join(packageRoot(), 'gen', 'openapi.yaml'), 'utf8'));
  });

  it('describes every route of the gateway and no other', () => {
    const routes = routeTable.routes.map((route) => `${route.httpMethod} ${openApiPath(route)}`);
    const paths = api.operations().map(({ httpMethod, path }) => `${httpMethod} ${path}`);
    expect(paths).to.have.members(routes);
  });

  it('gives every operation an id of its own, a summary and a description', () => {
    const ids = api.operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).to.equal(ids.length);
    each(({ operation }, name) => {
      expect(operation.summary, name).to.match(/^[A-Z].*[^.]$/);
      expect(operation.description, name).to.match(/\.$/);
    });
  });

  it('asks for the credential that the method asks for', () => {
    const expected = { none: [], user: [{ accessToken: [] }], 'api-key': [{ apiKey: [] }] };
    for (const { route, credential, name } of operations) {
      const found = documented({ httpMethod: route.httpMethod, path: openApiPath(route) });
      expect(found?.operation.security, name).to.deep.equal(expected[credential]);
    }
  });

  it('has no reference that leads nowhere', () => {
    const references = new Set(referencesIn(api.document));
    expect(references.size).to.be.above(50);
    for (const reference of references)
      expect(api.resolve(reference), reference).to.be.an('object');
  });

  it('lists every error reason, and says of every error which it is', () => {
    const reasons = Object.keys(ErrorReason)
      .filter((name) => name.startsWith('ERROR_REASON_'))
      .map((name) => name.slice('ERROR_REASON_'.length));
    const { enum: listed, description } = api.document.components.schemas.Reason;
    expect(listed).to.have.members(reasons);
    for (const reason of reasons) expect(description).to.include(`\`${reason}\` (`);
    const ofNoOperation = [
      'UNSPECIFIED',
      'ROUTE_NOT_FOUND',
      'METHOD_NOT_ALLOWED',
      'HOST_REQUIREMENT',
    ];
    const used = Object.values<Json>(api.document.components.responses).flatMap(
      (response) => response['x-reasons'] ?? [],
    );
    expect(new Set([...used, ...ofNoOperation])).to.deep.equal(new Set(reasons));
    expect(operations.map(({ name }) => name)).to.include.members(METHODS_WITH_ERRORS);
  });

  it('has an example for every method, parameter, JSON body and JSON answer', () => {
    expect([...EXAMPLES.keys()]).to.have.members([...new Set(operations.map(({ name }) => name))]);
    each(({ operation }, name) => {
      for (const parameter of operation.parameters ?? []) {
        expect(parameter, `${name} ${parameter.name}`).to.have.property('example');
      }
      for (const content of contentsOf(operation)) {
        if (isJson(content.mediaType)) expect(content, name).to.have.property('example');
      }
    });
  });

  it('has examples that are valid by their schemas', () => {
    let count = 0;
    const expectValid = (schema: Json, example: Json, where: string) => {
      expect(api.problems(schema, example), where).to.deep.equal([]);
      count += 1;
    };
    each(({ operation }, name) => {
      for (const { schema, example, name: parameter } of operation.parameters ?? []) {
        expectValid(schema, example, `${name} ${parameter}`);
      }
      for (const { mediaType, schema, example } of contentsOf(operation)) {
        if (isJson(mediaType)) expectValid(schema, example, name);
        if (mediaType !== 'application/x-ndjson') continue;
        const lines = example
          .trimEnd()
          .split('\n')
          .map((line: string) => JSON.parse(line));
        expectValid(schema.contentSchema, lines, name);
      }
      const conversation = operation['x-websocket'];
      if (!conversation) return;
      const { request, response, example } = conversation;
      for (const message of example.requests) expectValid(request, message, name);
      for (const message of example.responses) expectValid(response, message, name);
    });
    for (const [name, { content }] of Object.entries<Json>(api.document.components.responses)) {
      const { schema, example } = content['application/json'];
      expectValid(schema, example, name);
    }
    expect(count).to.be.above(100);
  });

  it('has examples of requests that the gateway and the services take', () => {
    const check = createRequestCheck();
    each(({ httpMethod, path, operation }, name) => {
      const target = parseTarget(targetOf(path, operation));
      const match = routeTable.find(httpMethod, target.path);
      expect(match.route.rpcPath.split('/').at(-1), name).to.equal(name.split('_')[1]);
      if (match.route.kind === 'bidi_streaming') return;
      const json = operation.requestBody?.content['application/json']?.example;
      const body =
        json === undefined ? { kind: 'empty' as const } : { kind: 'json' as const, json };
      check(match.route.rpcPath, bindRequest(match, target.query, body, registry).bytes);
    });
  });

  it('has examples of messages and answers that are exactly what the gateway prints', () => {
    for (const { route, name } of operations) {
      const example = EXAMPLES.get(name)?.response;
      if (example === undefined) continue;
      for (const message of Array.isArray(example) ? example : [example]) {
        expect(printed(route, message), name).to.deep.equal(message);
      }
    }
    const requests = EXAMPLES.get('ProcessService.ExecStream')?.request as JsonValue[];
    const { input } =
      operations.find(({ name }) => name === 'ProcessService.ExecStream')?.route ?? {};
    if (!input) throw new Error('there is no ExecStream');
    for (const request of requests) fromJson(input, request);
  });

  it('is sent with its type, and once only to who has it', async () => {
    const { status, headers, body } = await http(gateway, 'GET', '/openapi.yaml');
    expect(status).to.equal(200);
    expect(headers['content-type']).to.equal('application/yaml');
    const { etag = '' } = headers;
    const again = await http(gateway, 'GET', '/openapi.yaml', {
      headers: { 'if-none-match': etag },
    });
    expect([again.status, again.body.length]).to.deep.equal([304, 0]);
    const head = await http(gateway, 'HEAD', '/openapi.yaml');
    expect(head.headers['content-length']).to.equal(String(body.length));
    expect(head.body.length).to.equal(0);
  });

  it('has a page that shows it by files of the gateway alone', async () => {
    const page = await http(gateway, 'GET', '/docs');
    expect(page.status).to.equal(200);
    expect(page.headers).to.include({
      'content-type': 'text/html; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    });
    const policy = String(page.headers['content-security-policy']);
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'"]) {
      expect(policy.split('; ')).to.include(part);
    }
    expect(policy).not.to.include('unsafe');
    const html = page.body.toString();
    const files = [...html.matchAll(/ (?:src|href)="([^"]+)"/g)].map(([, path = '']) => path);
    expect(files).to.include.members(['/docs/main.js', '/docs/swagger-ui.css']);
    for (const path of files) {
      const { status, headers } = await http(gateway, 'GET', path);
      expect(status, path).to.equal(200);
      expect(headers['x-content-type-options'], path).to.equal('nosniff');
      if (path.endsWith('.js')) expect(headers['content-type']).to.match(/^text\/javascript;/);
    }
    expect(html).not.to.match(/<script>|<style>| style=| on[a-z]+=/);
  });

  it('comes without the test page where that is not asked for', async () => {
    expect((await http(gateway, 'GET', '/test')).status).to.equal(404);
    expect((await http(gateway, 'GET', '/docs/../package.json')).status).to.equal(400);
    expect((await http(gateway, 'POST', '/docs')).status).to.equal(405);
  });
});

/** The JSON bodies and answers of an operation with their media types; errors stand elsewhere. */
function contentsOf({ requestBody, responses }: Json): Json[] {
  return [requestBody, responses[200]].flatMap((part) =>
    Object.entries<Json>(part?.content ?? {}).map(([mediaType, content]) => ({
      mediaType,
      ...content,
    })),
  );
}

/** The path and query of a request that has the example of every parameter. */
function targetOf(path: string, { parameters = [] }: Json): string {
  const query = new URLSearchParams();
  let target = path;
  for (const { in: place, name, example } of parameters) {
    if (place === 'path') target = target.replace(`{${name}}`, encodeURIComponent(example));
    else for (const value of [example].flat()) query.append(name, String(value));
  }
  return `${target}?${query}`;
}

/** A message as the gateway answers it. */
function printed({ output }: Route, message: JsonValue): JsonValue {
  const options = { registry, alwaysEmitImplicit: true, useProtoFieldName: true };
  return toJson(output, fromJson(output, message, options), options);
}
