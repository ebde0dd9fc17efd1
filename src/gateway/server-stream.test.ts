import { create, fromJson, type JsonValue, type Registry, toBinary } from '@bufbuild/protobuf';
import { expect } from 'chai';
import { Status } from '../../gen/ts/google/rpc/status.js';
import { compileProto } from '../../test/support/compile-proto.js';
import { withoutExtensions } from './json-message.js';
import { buildRouteTable, type Route } from './route-table.js';
import { streamAnswer } from './server-stream.js';

const PROTO = `
  syntax = "proto3";
  package test.v1;
  import "google/api/annotations.proto";
  import "google/api/httpbody.proto";
  import "google/rpc/status.proto";
  message Page { string id = 1; google.api.HttpBody scan = 2; google.rpc.Status status = 3; }
  service S {
    rpc Ids(Page) returns (stream Page) {
      option (google.api.http) = {get: "/ids" response_body: "id"};
    }
    rpc Scans(Page) returns (stream Page) {
      option (google.api.http) = {get: "/scans" response_body: "scan"};
    }
  }
`;

describe('streamAnswer', () => {
  let registry: Registry;
  let routes: readonly Route[];

  before(async function () {
    this.timeout(60_000);
    const files = await compileProto(PROTO);
    registry = withoutExtensions(files);
    routes = buildRouteTable(files, 'test.v1').routes;
  });

  async function answerTo(method: string, messages: JsonValue[], accept = '*/*') {
    const route = routes.find(({ rpcPath }) => rpcPath.endsWith(method));
    if (!route) throw new Error(`no route for ${method}`);
    const { output } = route;
    async function* responses() {
      for (const json of messages) {
        const message = json === null ? create(output) : fromJson(output, json, { registry });
        yield Buffer.from(toBinary(output, message));
      }
    }
    return streamAnswer(route, responses(), { accept }, { registry, quietMs: 60_000 });
  }

  async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const piece of pieces) chunks.push(piece);
    return Buffer.concat(chunks).toString();
  }

  it('writes the field that the route names', async () => {
    const { pieces } = await answerTo('Ids', [{ id: 'a\nb' }, null]);
    expect(await textOf(pieces)).to.equal('{"result":"a\\nb"}\n{"result":""}\n');
  });

  it('writes one line of data for each event, whatever it holds', async () => {
    const { pieces } = await answerTo('Ids', [{ id: 'a\nb' }], 'text/event-stream');
    expect(await textOf(pieces)).to.equal('event: message\ndata: "a\\nb"\n\n');
  });

  it('passes on the bytes of the field that the route names', async () => {
    const scans = ['QQ==', 'Qg=='].map((data) => ({ scan: { content_type: 'text/x-a', data } }));
    const { contentType, pieces } = await answerTo('Scans', [...scans, null]);
    expect(contentType).to.equal('text/x-a');
    expect(await textOf(pieces)).to.equal('AB');
  });

  it('can tell of an error in lines and events, and not in raw bytes', async () => {
    const status = Status.fromPartial({ code: 5, message: 'x' });
    const expected = '{"code":5,"message":"x","details":[]}';
    const lines = await answerTo('Ids', [null]);
    expect(lines.failurePiece?.(status).toString()).to.equal(`{"error":${expected}}\n`);
    const events = await answerTo('Ids', [null], 'text/event-stream');
    expect(events.failurePiece?.(status).toString()).to.equal(
      `event: error\ndata: ${expected}\n\n`,
    );
    expect((await answerTo('Scans', [null])).failurePiece).to.equal(undefined);
  });
});
