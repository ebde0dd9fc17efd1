import {
  create,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { expect } from 'chai';
import { ErrorInfo } from '../../gen/ts/google/rpc/error_details.js';
import { Code, toStatus, WrennError } from '../../lib/errors/index.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { compileLibrary } from '../../test/support/compile-proto.js';
import { withoutExtensions } from './json-message.js';
import { errorAnswer, messageAnswer } from './response.js';
import { buildRouteTable, type Route, type RouteTable } from './route-table.js';

describe('messageAnswer', () => {
  let registry: Registry;
  let table: RouteTable;

  before(async function () {
    this.timeout(60_000);
    const library = await compileLibrary();
    registry = withoutExtensions(library);
    table = buildRouteTable(library, 'test.library.v1');
  });

  function routeOf(method: string): Route {
    const route = table.routes.find(({ rpcPath }) => rpcPath.endsWith(`/${method}`));
    if (!route) throw new Error(`no route for ${method}`);
    return route;
  }

  function encode(descriptor: DescMessage, json: Parameters<typeof fromJson>[1]): Buffer {
    return Buffer.from(toBinary(descriptor, fromJson(descriptor, json, { registry })));
  }

  it('answers with the field that the route names', () => {
    const route = routeOf('UpdateBook');
    const response = encode(route.output, { book: { page_count: 5 }, update_mask: 'id' });
    const json = JSON.parse(messageAnswer(route, response, registry).body.toString());
    expect(json).to.deep.include({ page_count: 5, sold_count: '0', tags: [], labels: {} });
    expect(json).to.not.have.property('update_mask');
  });

  it('answers null for a field that is not there', () => {
    const route = routeOf('UpdateBook');
    const empty = Buffer.from(toBinary(route.output, create(route.output)));
    expect(messageAnswer(route, empty, registry).body.toString()).to.equal('null\n');
  });

  it('answers with a list, be it empty', () => {
    const route = routeOf('SetTags');
    const answerOf = (json: object) =>
      messageAnswer(route, encode(route.output, json as JsonValue), registry).body.toString();
    expect(answerOf({ id: '1', tags: ['a'] })).to.equal('["a"]\n');
    expect(answerOf({ id: '1' })).to.equal('[]\n');
  });

  it('answers with raw bytes, of a field or of the message', () => {
    const scan = { content_type: 'image/png', data: 'AP8=' };
    for (const [method, json] of [
      ['SetScan', { book_id: '1', scan }],
      ['PrintPage', scan],
    ] as const) {
      const route = routeOf(method);
      const answer = messageAnswer(route, encode(route.output, json), registry);
      expect(answer.contentType).to.equal('image/png');
      expect([...answer.body]).to.deep.equal([0, 255]);
    }
  });

  it('answers with no bytes for a field that is not there', () => {
    const route = routeOf('SetScan');
    const answer = messageAnswer(route, encode(route.output, { page: 1 }), registry);
    expect([answer.contentType, answer.body.length]).to.deep.equal(['application/octet-stream', 0]);
  });

  it('writes what JSON numbers cannot hold as strings', () => {
    const route = routeOf('ListBooks');
    const response = encode(route.output, { sold_count: '9007199254740993', price: 'Infinity' });
    const json = JSON.parse(messageAnswer(route, response, registry).body.toString());
    expect(json).to.deep.include({ sold_count: '9007199254740993', price: 'Infinity' });
  });
});

describe('errorAnswer', () => {
  const registry = withoutExtensions(descriptors().registry);

  it('leaves out details of a type that it does not know', () => {
    const status = toStatus(new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'x'));
    status.details.push({ typeUrl: 'type.googleapis.com/other.Type', value: Buffer.from([1]) });
    const answer = errorAnswer(status, registry);
    expect(answer.httpStatus).to.equal(409);
    expect(JSON.parse(answer.body.toString()).details).to.have.lengthOf(1);
  });

  it('answers a reason of a newer server by its code', () => {
    const info = ErrorInfo.encode({ reason: 'FROM_THE_FUTURE', domain: 'wrenn', metadata: {} });
    const typeUrl = 'type.googleapis.com/google.rpc.ErrorInfo';
    const details = [{ typeUrl, value: Buffer.from(info.finish()) }];
    const answer = errorAnswer({ code: Code.NOT_FOUND, message: 'x', details }, registry);
    expect(answer.httpStatus).to.equal(404);
    expect(answer.body.toString()).to.contain('FROM_THE_FUTURE');
  });
});
