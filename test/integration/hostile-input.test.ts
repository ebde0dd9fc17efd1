/**
 * Hostile input over every method of the public API and of the agent, on both
 * protocols: each request is refused with its own reason, or does what its text
 * says, and nothing else changes.
 */

import type { DescMethod } from '@bufbuild/protobuf';
import { expect } from 'chai';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { readOperations } from '../../src/openapi/operations.js';
import { type Attempt, runAll, shown } from '../support/hostile/campaign.js';
import {
  httpRequest,
  httpRequestOfPath,
  isOfHttp,
  isTooLong,
} from '../support/hostile/http-requests.js';
import { HOSTILE_NUMBERS, isLegalNumber, readBack } from '../support/hostile/numbers.js';
import { commonFault, mayRefuseAny, problemOf, refusalProblem } from '../support/hostile/oracle.js';
import { type Filled, fill, packBytes } from '../support/hostile/packed.js';
import { goodRequest } from '../support/hostile/requests.js';
import { isLegalText } from '../support/hostile/rules.js';
import { Scene } from '../support/hostile/scene.js';
import { HOSTILE_STRINGS } from '../support/hostile/strings.js';
import {
  bytesTargets,
  methodsOf,
  numberTargets,
  shortName,
  textTargets,
} from '../support/hostile/targets.js';
import {
  INVALID_UTF8,
  malformedMessages,
  nameOf,
  withContent,
  withEntry,
  withNumber,
} from '../support/hostile/wire.js';

const METHODS = methodsOf('wrenn.v1');
const AGENT_METHODS = methodsOf('wrenn.hostagent.v1');
const OPERATIONS = readOperations(descriptors().registry, 'wrenn.v1').filter(
  ({ kind }) => kind !== 'bidi_streaming',
);
/** One in so many of the texts that are legal where they stand is sent alone, to be acted upon. */
const LEGAL_STEP = 12;
/** One in so many of all texts is sent to each method of the agent, other ones to each. */
const AGENT_STEP = 3;
/** One in so many of all texts is sent in the path, where texts stand elsewhere too. */
const PATH_STEP = 3;

describe('hostile input', function () {
  this.timeout(300_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.open();
  });
  afterEach(() => scene.expectUnchanged());
  after(async () => {
    console.log(
      `        ${scene?.grpc.sent} requests over gRPC, ${scene?.http.sent} over HTTP, ${scene?.agent.sent} to the agent`,
    );
    await scene?.[Symbol.asyncDispose]();
  });

  it('has more than five hundred texts, and a request of every method', () => {
    const texts = [...HOSTILE_STRINGS.values()].flat();
    expect(new Set(texts).size).to.equal(texts.length).and.to.be.above(500);
    for (const method of [...METHODS, ...AGENT_METHODS]) goodRequest(method, scene.names);
  });

  let first = 0;
  for (const [family, { length }] of HOSTILE_STRINGS) {
    const indices = Array.from({ length }, (_, index) => first + index);
    first += length;

    it(`of the family ${family} is refused in every text of every method over gRPC`, async () => {
      await runAll(METHODS.flatMap((method) => indices.map((index) => overGrpc(method, index))));
    });

    it(`of the family ${family} is refused in every text of every route over HTTP`, async () => {
      await runAll(
        OPERATIONS.flatMap((operation) => indices.flatMap((index) => overHttp(operation, index))),
      );
    });

    it(`of the family ${family} is refused by every method of the agent`, async () => {
      await runAll(
        AGENT_METHODS.flatMap((method, place) =>
          indices
            .filter((index) => (index + place) % AGENT_STEP === 0)
            .map((index) => overGrpc(method, index, scene.agent)),
        ),
      );
    });
  }

  it('that is legal where it stands does what it says, and the same over both protocols', async () => {
    await runAll(
      METHODS.flatMap((method) => legalTexts(method)).filter(
        (_, index) => index % LEGAL_STEP === 0,
      ),
    );
  });

  it('of numbers is refused beyond the limits of every field', async () => {
    await runAll(METHODS.flatMap((method) => numbers(method, scene.grpc)));
    await runAll(AGENT_METHODS.flatMap((method) => numbers(method, scene.agent)));
  });

  it('of bytes that are no UTF-8 is refused in every text', async () => {
    await runAll(METHODS.flatMap((method) => brokenTexts(method, scene.grpc)));
    await runAll(AGENT_METHODS.flatMap((method) => brokenTexts(method, scene.agent)));
  });

  it('of bytes of any kind is taken where bytes stand', async () => {
    await runAll(METHODS.flatMap((method) => anyBytes(method)));
  });

  it('that is no message is refused by every method', async () => {
    await runAll(METHODS.flatMap((method) => malformed(method, scene.grpc)));
    await runAll(AGENT_METHODS.flatMap((method) => malformed(method, scene.agent)));
  });

  const credentials = () => scene.headers;
  const label = (method: DescMethod, filled: readonly Filled[]) => () =>
    `${shortName(method)} ${filled.map(({ path, text }) => `${nameOf(path)}=${shown(text)}`).join(' ')}`;

  function overGrpc(method: DescMethod, index: number, caller = scene.grpc): Attempt {
    const filled = fill(method, index);
    return {
      what: label(method, filled),
      run: async () => {
        const bytes = packBytes(goodRequest(method, scene.names).bytes, filled);
        return problemOf(method, filled, await caller.call(method, bytes, credentials()));
      },
    };
  }

  function overHttp({ method, route }: (typeof OPERATIONS)[number], index: number): Attempt[] {
    const filled = fill(method, index, isOfHttp(route));
    const attempts: Attempt[] = [];
    const { json } = goodRequest(method, scene.names);
    const send = async (texts: Filled[], call: ReturnType<typeof httpRequest>) => {
      const outcome = await scene.http.call({
        ...call,
        headers: { ...credentials(), ...call.headers },
      });
      if (isTooLong(call)) return refusalProblem(outcome, 'INVALID_REQUEST');
      return problemOf(method, texts, outcome);
    };
    if (filled.length > 0) {
      attempts.push({
        what: label(method, filled),
        run: () => send(filled, httpRequest(route, json, filled)),
      });
    }
    const { variables } = route.template;
    const variable =
      variables[Math.floor(index / PATH_STEP) % Math.max(1, variables.length)]?.fieldPath;
    const target = textTargets(method.input).find(({ path }) => nameOf(path) === variable);
    const isTurn = filled.length === 0 || index % PATH_STEP === 0;
    if (variable === undefined || !target || !isTurn) return attempts;
    const text = [...HOSTILE_STRINGS.values()].flat()[index] ?? '';
    const inPath = { ...target, text, isLegal: isLegalText(target.path, 'value', text) };
    const what = () => `${label(method, [inPath])()} in the path`;
    const run = async () => {
      const call = httpRequestOfPath(route, json, variable, text);
      const outcome = await scene.http.call({
        ...call,
        headers: { ...credentials(), ...call.headers },
      });
      if (text === '')
        return outcome.reason === 'ROUTE_NOT_FOUND' ? commonFault(outcome) : outcome.reason;
      if (!inPath.isLegal) return refusalProblem(outcome, 'INVALID_REQUEST');
      return problemOf(method, [inPath], outcome);
    };
    return [...attempts, { what, run }];
  }

  function legalTexts(method: DescMethod): Attempt[] {
    const operation = OPERATIONS.find((each) => each.method === method);
    const texts = [...HOSTILE_STRINGS.values()].flat();
    return textTargets(method.input).flatMap((target) =>
      texts
        .map((text) => ({ ...target, text, isLegal: isLegalText(target.path, target.part, text) }))
        .filter(({ isLegal }) => isLegal)
        .map(
          (filled): Attempt => ({
            what: label(method, [filled]),
            run: () => actUpon(method, operation, filled),
          }),
        ),
    );
  }

  /** The two protocols take turns, so that each finds what the other has left. */
  async function actUpon(
    method: DescMethod,
    operation: (typeof OPERATIONS)[number] | undefined,
    filled: Filled,
  ) {
    const { json, bytes } = goodRequest(method, scene.names);
    const whole = filled.part === 'key' || filled.path.at(-1)?.fieldKind !== 'map';
    const packed = whole
      ? packBytes(bytes, [filled])
      : withEntry(bytes, filled.path, Buffer.from('KEY'), Buffer.from(filled.text));
    const outcome = await scene.grpc.call(method, packed, credentials());
    const problem = problemOf(method, [filled], outcome);
    if (problem !== undefined || !operation || !isOfHttp(operation.route)(filled) || !whole)
      return problem;
    const call = httpRequest(operation.route, json, [filled]);
    if (isTooLong(call)) return undefined;
    return problemOf(
      method,
      [filled],
      await scene.http.call({ ...call, headers: { ...credentials(), ...call.headers } }),
    );
  }

  function numbers(method: DescMethod, caller: Scene['grpc']): Attempt[] {
    return numberTargets(method.input).flatMap((path) =>
      HOSTILE_NUMBERS.map(
        (value): Attempt => ({
          what: () => `${shortName(method)} ${nameOf(path)}=${value}`,
          run: async () => {
            const { bytes } = goodRequest(method, scene.names);
            const outcome = await caller.call(
              method,
              withNumber(bytes, path, value),
              credentials(),
            );
            const fault = commonFault(outcome);
            const field = path.at(-1);
            if (fault !== undefined || !field) return fault;
            const isLegal = isLegalNumber(field, readBack(field, value));
            if (!isLegal) return refusalProblem(outcome, 'INVALID_REQUEST');
            // A part of a message may lack what the message needs besides.
            const isTaken = path.length > 1 || outcome.reason !== 'INVALID_REQUEST';
            return isTaken || mayRefuseAny(method, outcome)
              ? undefined
              : `refused: ${outcome.message}`;
          },
        }),
      ),
    );
  }

  function brokenTexts(method: DescMethod, caller: Scene['grpc']): Attempt[] {
    return textTargets(method.input).flatMap(({ path, part }) =>
      INVALID_UTF8.map(
        (content): Attempt => ({
          what: () => `${shortName(method)} ${nameOf(path)}=${content.toString('hex')}`,
          run: async () => {
            const { bytes } = goodRequest(method, scene.names);
            const isKey = part === 'key';
            const other = Buffer.from('KEY');
            const message =
              path.at(-1)?.fieldKind === 'map'
                ? withEntry(bytes, path, isKey ? content : other, isKey ? other : content)
                : withContent(bytes, path, content);
            return refusalProblem(
              await caller.call(method, message, credentials()),
              'INVALID_REQUEST',
            );
          },
        }),
      ),
    );
  }

  function anyBytes(method: DescMethod): Attempt[] {
    return bytesTargets(method.input).flatMap((path) =>
      INVALID_UTF8.map(
        (content): Attempt => ({
          what: () => `${shortName(method)} ${nameOf(path)}=${content.toString('hex')}`,
          run: async () => {
            const { bytes } = goodRequest(method, scene.names);
            const outcome = await scene.grpc.call(
              method,
              withContent(bytes, path, content),
              credentials(),
            );
            return mayRefuseAny(method, outcome) ? undefined : problemOf(method, [], outcome);
          },
        }),
      ),
    );
  }

  function malformed(method: DescMethod, caller: Scene['grpc']): Attempt[] {
    return malformedMessages(method.input).map(([what, bytes]) => ({
      what: () => `${shortName(method)} with ${what}`,
      run: async () =>
        refusalProblem(await caller.call(method, bytes, credentials()), 'INVALID_REQUEST'),
    }));
  }
});
