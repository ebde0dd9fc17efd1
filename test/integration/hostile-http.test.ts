/** Hostile JSON, forms, headers and WebSocket messages to the gateway, with all that is behind it. */
import { validateHeaderValue } from 'node:http';
import { expect } from 'chai';
import { Code } from '../../lib/errors/index.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { readOperations } from '../../src/openapi/operations.js';
import { type Attempt, runAll, shown } from '../support/hostile/campaign.js';
import { outcomeOfJson } from '../support/hostile/http-caller.js';
import { httpRequestOfText, isOfHttp } from '../support/hostile/http-requests.js';
import { HOSTILE_BODIES, NOT_TEXT } from '../support/hostile/json.js';
import { commonFault, problemOf, refusalProblem } from '../support/hostile/oracle.js';
import { fill } from '../support/hostile/packed.js';
import { goodRequest } from '../support/hostile/requests.js';
import { Scene } from '../support/hostile/scene.js';
import { HOSTILE_STRINGS } from '../support/hostile/strings.js';
import { textTargets } from '../support/hostile/targets.js';
import { nameOf } from '../support/hostile/wire.js';
import { openWebSocket } from './web-socket-client.js';

const OPERATIONS = readOperations(descriptors().registry, 'wrenn.v1');
const WITH_JSON = OPERATIONS.filter(
  ({ route: { body } }) => body.kind === 'message' || body.kind === 'field',
);
const TEXTS = [...HOSTILE_STRINGS.values()].flat();
const FORM = { 'content-type': 'multipart/form-data; boundary=x' };
const CODE_OFFSET = 4000;

describe('hostile HTTP', function () {
  this.timeout(180_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.open();
  });
  afterEach(() => scene.expectUnchanged());
  after(() => scene?.[Symbol.asyncDispose]());

  it('with a body that is no JSON of its message is refused by every route', async () => {
    const attempts = WITH_JSON.flatMap((operation) =>
      [...HOSTILE_BODIES].map(([what, body]) => ({
        what: () => `${operation.operationId} ${what}`,
        run: () => refused(operation, body),
      })),
    );
    await runAll(attempts);
  });

  it('with a value that is no text is refused in every text of every route', async () => {
    await runAll(
      WITH_JSON.flatMap((operation) => {
        const { route, method } = operation;
        const [top] = route.body.kind === 'field' ? [route.body.field] : [];
        return textTargets(method.input)
          .filter((target) => isOfHttp(route)(target) && (!top || target.path[0] === top))
          .flatMap(({ path }) =>
            NOT_TEXT.map(
              (value): Attempt => ({
                what: () => `${operation.operationId} ${nameOf(path)}=${value.slice(0, 40)}`,
                run: () => {
                  const inBody = top ? path.slice(1) : path;
                  const body = inBody.reduceRight((json, { jsonName, fieldKind }) => {
                    const inner =
                      fieldKind === 'list'
                        ? `[${json}]`
                        : fieldKind === 'map'
                          ? `{"A":${json}}`
                          : json;
                    return `{"${jsonName}":${inner}}`;
                  }, value);
                  return refused(operation, body);
                },
              }),
            ),
          );
      }),
    );
  });

  it('with form parts of any name is refused, and of any file name is taken', async () => {
    const { sandboxId } = scene.names;
    const target = `/v1/sandboxes/${sandboxId}/files/write`;
    const send = async (parts: string) => {
      const headers = { ...scene.headers, ...FORM };
      return scene.http.call({ method: 'POST', target, headers, body: `${parts}--x--\r\n` });
    };
    const part = (disposition: string, text: string) =>
      `--x\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`;
    const path = part('name="path"', '/tmp/hostile/file');
    await runAll(
      TEXTS.flatMap((text): Attempt[] => [
        {
          what: () => `name ${shown(text)}`,
          run: async () =>
            refusalProblem(await send(path + part(`name="${text}"`, 'x')), 'INVALID_REQUEST'),
        },
        {
          what: () => `file name ${shown(text)}`,
          run: async () => {
            const outcome = await send(path + part(`name="file"; filename="${text}"`, 'x'));
            return outcome.code === Code.OK
              ? undefined
              : refusalProblem(outcome, 'INVALID_REQUEST');
          },
        },
      ]),
    );
  });

  it('with headers of any value is answered, and by nobody but their owner', async () => {
    const target = `/v1/sandboxes/${scene.names.sandboxId}`;
    const sendable = TEXTS.filter((text) => isHeader(text));
    expect(sendable.length).to.be.above(200);
    const send = (headers: Record<string, string>) =>
      scene.http.call({ method: 'GET', target, headers });
    await runAll(
      sendable.flatMap((text): Attempt[] => [
        {
          what: () => `x-api-key ${shown(text)}`,
          run: async () => {
            const outcome = await send({ 'x-api-key': text });
            // What is no printable ASCII, or too long, may be refused before anybody asks whose key it is.
            const isOdd = !/^[\x21-\x7e]+$/.test(text) || outcome.httpStatus === 431;
            if (isOdd && outcome.reason === 'INVALID_REQUEST') return commonFault(outcome);
            return outcome.httpStatus === 401 ? commonFault(outcome) : `HTTP ${outcome.httpStatus}`;
          },
        },
        ...[
          'x-request-id',
          'accept',
          'content-type',
          'x-wrenn-timeout-ms',
          'origin',
          'cookie',
          'traceparent',
        ].map(
          (name): Attempt => ({
            what: () => `${name} ${shown(text)}`,
            run: async () => {
              const outcome = await send({ ...scene.headers, [name]: text });
              // A caller who allows no time gets none.
              return name === 'x-wrenn-timeout-ms' && outcome.httpStatus === 504
                ? undefined
                : commonFault(outcome);
            },
          }),
        ),
      ]),
    );
  });

  it('with any first message of a WebSocket ends with its own code', async () => {
    const stream = OPERATIONS.find(({ kind }) => kind === 'bidi_streaming');
    if (!stream) throw new Error('there is no stream in both directions');
    await runAll(
      TEXTS.map((_, index): Attempt => {
        const filled = fill(
          stream.method,
          index,
          ({ path: [field] }) => field?.name !== 'sandbox_id',
        );
        const message: Record<string, unknown> = {};
        for (const { path, part, text } of filled) {
          const [member, field] = path;
          if (!member || !field) continue;
          const inner = (message[member.jsonName] ?? {}) as Record<string, unknown>;
          message[member.jsonName] = inner;
          const value = filled.find(
            (other) => other.part === 'value' && other.path.at(-1) === field,
          )?.text;
          if (part === 'key') inner[field.jsonName] = Object.fromEntries([[text, value]]);
          else if (field.fieldKind !== 'map')
            inner[field.jsonName] = field.fieldKind === 'list' ? [text] : text;
        }
        return {
          what: () => `message ${index}`,
          run: async () =>
            problemOf(stream.method, filled, await converse(JSON.stringify(message))),
        };
      }),
    );
    for (const [what, body] of HOSTILE_BODIES) {
      if (typeof body !== 'string') continue;
      const outcome = await converse(body);
      expect(refusalProblem(outcome, 'INVALID_JSON'), what).to.equal(undefined);
    }
  });

  async function refused({ route, method }: (typeof OPERATIONS)[number], body: string | Buffer) {
    const call = httpRequestOfText(route, goodRequest(method, scene.names).json, body);
    const outcome = await scene.http.call({
      ...call,
      headers: { ...scene.headers, ...call.headers },
    });
    return refusalProblem(outcome, 'INVALID_JSON');
  }

  async function converse(first: string) {
    const path = `/v1/sandboxes/${scene.names.sandboxId}/exec/stream`;
    const headers = { 'x-api-key': scene.account.key };
    const client = await openWebSocket({ port: scene.platform.httpPort }, { path, headers });
    client.socket.on('error', () => undefined);
    client.socket.send(first);
    client.socket.send('');
    const { code } = await client.closed;
    const last = client.messages().at(-1);
    if (code === 1000) return outcomeOfJson('{}', 200);
    const outcome = outcomeOfJson(JSON.stringify(last?.error ?? {}), 0);
    expect(code).to.equal(CODE_OFFSET + outcome.code);
    return outcome;
  }
});

function isHeader(text: string): boolean {
  try {
    validateHeaderValue('x-any', text);
    return text !== '';
  } catch {
    return false;
  }
}
