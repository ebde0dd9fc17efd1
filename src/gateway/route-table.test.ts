import { expect } from 'chai';
import { hasReason, type WrennError } from '../../lib/errors/index.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { compileProto } from '../../test/support/compile-proto.js';
import { parseTarget } from './request-path.js';
import { buildRouteTable, type RouteTable } from './route-table.js';

const HEADER = `
  syntax = "proto3";
  package test.v1;
  import "google/api/annotations.proto";
  import "google/api/httpbody.proto";
  message Thing {
    string id = 1;
    bytes data = 2;
    repeated string tags = 3;
    Thing inner = 4;
    google.api.HttpBody file = 5;
  }
`;

/** Builds the table of a service with these methods. */
async function tableOf(methods: string): Promise<RouteTable> {
  return buildRouteTable(await compileProto(`${HEADER} service S { ${methods} }`), 'test.v1');
}

function rpc(name: string, rule: string): string {
  return `rpc ${name}(Thing) returns (Thing) { option (google.api.http) = {${rule}}; }`;
}

function stream(name: string, input: string, output: string, rule: string): string {
  return `rpc ${name}(${input}) returns (${output}) { option (google.api.http) = {${rule}}; }`;
}

function custom(kind: string): string {
  return rpc('A', `custom: {kind: "${kind}" path: "/a"}`);
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: Error) => error.message,
  );
}

function find(table: RouteTable, method: string, target: string) {
  return table.find(method, parseTarget(target).path);
}

function errorOf(action: () => unknown): WrennError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error as WrennError;
  }
}

describe('the routes of the public services', () => {
  const { registry } = descriptors();
  const table = buildRouteTable(registry, 'wrenn.v1');

  it('cover every method', () => {
    const methods = [...registry.files]
      .filter((file) => file.proto.package === 'wrenn.v1')
      .flatMap((file) => file.services.flatMap((service) => service.methods))
      .map((method) => `/${method.parent.typeName}/${method.name}`);
    expect(new Set(table.routes.map(({ rpcPath }) => rpcPath))).to.deep.equal(new Set(methods));
    expect(methods).to.include('/wrenn.v1.ProcessService/Exec');
  });

  it('send the form of a file to the stream that takes it', () => {
    const { route } = find(table, 'POST', '/v1/sandboxes/abc/files/write');
    expect(route.kind).to.equal('unary');
    expect(route.upload?.rpcPath).to.equal('/wrenn.v1.FileService/StreamWriteFile');
    expect(route.upload?.template).to.equal(route.template);
  });

  it('name no service that is not public', () => {
    for (const { rpcPath } of table.routes) expect(rpcPath).to.match(/^\/wrenn\.v1\./);
  });

  it('find a method and the variables of its path', () => {
    const { route, variables } = find(table, 'GET', '/v1/sandboxes/abc');
    expect(route.rpcPath).to.equal('/wrenn.v1.SandboxService/GetSandbox');
    expect(Object.fromEntries(variables)).to.deep.equal({ sandbox_id: 'abc' });
  });

  it('answer HEAD as GET', () => {
    expect(find(table, 'HEAD', '/v1/sandboxes').route.httpMethod).to.equal('GET');
  });

  it('tell an unknown path from an unknown method', () => {
    const unknownPath = errorOf(() => find(table, 'GET', '/v1/nothing'));
    expect(hasReason(unknownPath, 'ROUTE_NOT_FOUND')).to.equal(true);
    const unknownMethod = errorOf(() => find(table, 'PUT', '/v1/sandboxes'));
    expect(hasReason(unknownMethod, 'METHOD_NOT_ALLOWED')).to.equal(true);
    expect(unknownMethod?.metadata).to.deep.equal({ allow: 'GET, HEAD, OPTIONS, POST' });
  });

  it('know no method names of other objects', () => {
    for (const method of ['__proto__', 'constructor', 'get', '']) {
      expect(errorOf(() => find(table, method, '/v1/sandboxes'))?.reason).to.equal(
        'METHOD_NOT_ALLOWED',
      );
    }
  });
});

describe('buildRouteTable', () => {
  it('prefers the narrower of two routes, whatever their order', async () => {
    const table = await tableOf(
      rpc('Wide', 'get: "/v1/{id=**}"') +
        rpc('One', 'get: "/v1/{id}"') +
        rpc('Verb', 'get: "/v1/{id}:go"') +
        rpc('Literal', 'get: "/v1/this"'),
    );
    const nameOf = (target: string) => find(table, 'GET', target).route.rpcPath.split('/')[2];
    expect(nameOf('/v1/this')).to.equal('Literal');
    expect(nameOf('/v1/that')).to.equal('One');
    expect(nameOf('/v1/that:go')).to.equal('Verb');
    expect(nameOf('/v1/that/there')).to.equal('Wide');
  });

  it('serves additional bindings and custom methods', async () => {
    const table = await tableOf(
      rpc('Get', 'get: "/a" additional_bindings { custom: {kind: "REPORT" path: "/b"} }'),
    );
    expect(find(table, 'GET', '/a').route.rpcPath).to.equal('/test.v1.S/Get');
    expect(find(table, 'REPORT', '/b').route.rpcPath).to.equal('/test.v1.S/Get');
  });

  it('serves any method of HTTP, after the routes that name theirs', async () => {
    const table = await tableOf(
      custom('*') + rpc('B', 'get: "/a"') + rpc('C', 'custom: {kind: "HEAD" path: "/a"}'),
    );
    const nameOf = (method: string) => find(table, method, '/a').route.rpcPath.split('/')[2];
    expect(['POST', 'DELETE', 'GET', 'HEAD'].map(nameOf)).to.deep.equal(['A', 'A', 'B', 'C']);
    expect(table.methodsOf(parseTarget('/a').path)).to.include.members(['OPTIONS', 'PATCH']);
  });

  it('serves streams, which take no HEAD', async () => {
    const table = await tableOf(
      stream('Watch', 'Thing', 'stream Thing', 'get: "/a"') +
        stream('Talk', 'stream Thing', 'stream Thing', 'get: "/b"') +
        stream('Put', 'stream Thing', 'Thing', 'post: "/c" body: "file"'),
    );
    expect(table.methodsOf(parseTarget('/a').path)).to.deep.equal(['GET', 'OPTIONS']);
    expect(errorOf(() => find(table, 'HEAD', '/a'))?.reason).to.equal('METHOD_NOT_ALLOWED');
    expect(find(table, 'GET', '/b').route.kind).to.equal('bidi_streaming');
    expect(find(table, 'POST', '/c').route.body.kind).to.equal('raw');
  });

  const refused: [string, string, RegExp][] = [
    ['a method without a binding', 'rpc Get(Thing) returns (Thing);', /S\.Get: .*no .*binding/],
    [
      'a client stream whose body is no raw one',
      stream('Put', 'stream Thing', 'Thing', 'post: "/a" body: "data"'),
      /S\.Put: .*HttpBody/,
    ],
    [
      'a stream in both directions that is no plain GET',
      stream('Talk', 'stream Thing', 'stream Thing', 'post: "/a" body: "*"'),
      /S\.Talk: .*GET/,
    ],
    ['a method of HTTP that is none', custom('a b'), /HTTP method/],
    ['a method of HTTP that the gateway answers itself', custom('OPTIONS'), /HTTP method/],
    ['the same route twice', rpc('A', 'get: "/{id}"') + rpc('B', 'get: "/*"'), /same requests/],
    ['routes that cross', rpc('A', 'get: "/a/{id}"') + rpc('B', 'get: "/{id}/b"'), /same requests/],
    ['a variable that is no field', rpc('A', 'get: "/{nothing}"'), /nothing is no scalar field/],
    ['a variable that is a message', rpc('A', 'get: "/{inner}"'), /inner is no scalar field/],
    ['a variable that is repeated', rpc('A', 'get: "/{tags}"'), /tags is no scalar field/],
    ['a variable of bytes', rpc('A', 'get: "/{data}"'), /data is no scalar field/],
    ['a body that is no field', rpc('A', 'post: "/a" body: "nothing"'), /no field nothing/],
    [
      'an answer that is no field',
      rpc('A', 'post: "/a" response_body: "nothing"'),
      /no field nothing/,
    ],
    ['a template that breaks the grammar', rpc('A', 'get: "/{"'), /path template/],
  ];
  for (const [what, methods, expected] of refused) {
    it(`refuses ${what}`, async () => {
      expect(await messageOf(tableOf(methods))).to.match(expected);
    });
  }

  it('takes crossing routes of different HTTP methods', async () => {
    const table = await tableOf(rpc('A', 'get: "/a/{id}"') + rpc('B', 'put: "/{id}/b"'));
    expect(table.routes).to.have.lengthOf(2);
  });
});
