/** The gateway's JSON codec on random messages of every kind of field, and on hostile text. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { expect } from 'chai';
import fc from 'fast-check';
import { WrennError } from '../../lib/errors/index.js';
import {
  type JsonStyle,
  mergeJson,
  messageToJson,
  withoutExtensions,
} from '../../src/gateway/json-message.js';
import { JsonTextError, parseJsonText } from '../../src/gateway/json-text.js';
import { arbitraryMessage } from '../conformance-suite/arbitrary-message.js';
import { buildSuiteProtos } from '../conformance-suite/suite.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const FUZZ_TIMEOUT_MS = 120_000;

describe('JSON codec', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  let registry: Registry;
  let descriptor: DescMessage;

  before(async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'suite.binpb');
    await buildSuiteProtos(path);
    const files = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(path)));
    registry = withoutExtensions(files);
    descriptor = messageNamed('protobuf_test_messages.proto3.TestAllTypesProto3');
  });

  function messageNamed(typeName: string): DescMessage {
    const found = registry.getMessage(typeName);
    if (!found) throw new Error(`the suite lacks ${typeName}`);
    return found;
  }

  /** The bytes of the message that a JSON text stands for. */
  function read(text: string): Uint8Array {
    const message = create(descriptor);
    mergeJson(descriptor, message, parseJsonText(Buffer.from(text)), {
      registry,
      reason: 'INVALID_JSON',
    });
    return toBinary(descriptor, message);
  }

  /** Throws what is no typed refusal. */
  function isRefused(text: string): boolean {
    try {
      read(text);
      return false;
    } catch (error) {
      if (error instanceof JsonTextError) return true;
      if (error instanceof WrennError && error.reason === 'INVALID_JSON') return true;
      throw error;
    }
  }

  const styles: [string, JsonStyle][] = [
    ['by the defaults of the mapping', {}],
    ['as the gateway does', { alwaysEmitImplicit: true, useProtoFieldName: true }],
  ];
  for (const [how, style] of styles) {
    it(`reads any message from the JSON that it writes ${how}`, () => {
      fc.assert(
        fc.property(arbitraryMessage(descriptor, 1), (message: Message) => {
          const bytes = toBinary(descriptor, message);
          const text = JSON.stringify(messageToJson(descriptor, bytes, registry, style));
          expect(Buffer.from(read(text)).equals(bytes), text).to.equal(true);
        }),
      );
    });
  }

  const ANY = '"@type":"type.googleapis.com/';
  const places: [string, (integer: string) => string][] = [
    ['a field', (integer) => `{"optionalInt64":${integer}}`],
    ['a oneof', (integer) => `{"oneofUint64":${integer}}`],
    ['a list', (integer) => `{"repeatedSfixed64":[1,${integer}]}`],
    ['a map', (integer) => `{"mapSint64Sint64":{"7":${integer}}}`],
    ['a wrapper', (integer) => `{"optionalInt64Wrapper":${integer}}`],
    ['a list of wrappers', (integer) => `{"repeatedUint64Wrapper":[${integer}]}`],
    ['a nested message', (integer) => `{"recursiveMessage":{"optional_int64":${integer}}}`],
    [
      'a message in an Any',
      (integer) =>
        `{"optionalAny":{${ANY}protobuf_test_messages.proto3.TestAllTypesProto3","optionalInt64":${integer}}}`,
    ],
    [
      'a wrapper in an Any',
      (integer) => `{"optionalAny":{${ANY}google.protobuf.Int64Value","value":${integer}}}`,
    ],
    [
      'an Any in an Any',
      (integer) =>
        `{"optionalAny":{${ANY}google.protobuf.Any","value":{${ANY}google.protobuf.Int64Value","value":${integer}}}}`,
    ],
  ];
  for (const [what, textWith] of places) {
    it(`reads a large integer in ${what} alike with quotes and without`, () => {
      fc.assert(
        fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }), (integer) => {
          const bare = Buffer.from(read(textWith(`${integer}`)));
          expect(bare.equals(read(textWith(`"${integer}"`)))).to.equal(true);
          expect(bare.equals(read(textWith(`"${integer - 1n}"`)))).to.equal(false);
        }),
      );
    });

    for (const bad of [
      '1.5',
      '9007199254740993.5',
      '1e20',
      '"0x10"',
      '" 1"',
      '"1 "',
      '""',
      '1e400',
    ]) {
      it(`refuses ${bad} as an integer in ${what}`, () => {
        expect(isRefused(textWith(bad))).to.equal(true);
      });
    }
  }

  for (const key of ['0x1', ' 1', '01', '1.0', '1e1', '', '__proto__']) {
    it(`refuses ${JSON.stringify(key)} as an integer key of a map`, () => {
      for (const field of ['mapInt32Int32', 'mapUint64Uint64']) {
        expect(isRefused(`{"${field}":{${JSON.stringify(key)}:1}}`)).to.equal(true);
      }
    });
  }

  it('takes large integers for doubles where doubles are meant', () => {
    const json = '{"optionalDouble":9007199254740993,"optionalStruct":{"a":[9007199254740993]}}';
    const written = messageToJson(descriptor, read(json), registry);
    expect(written).to.deep.equal({
      optionalDouble: 9007199254740992,
      optionalStruct: { a: [9007199254740992] },
    });
  });

  it('keeps __proto__ a key like any other', () => {
    const json = '{"mapStringString":{"__proto__":"a"},"optionalStruct":{"__proto__":{"b":1}}}';
    expect(JSON.stringify(messageToJson(descriptor, read(json), registry))).to.equal(json);
    expect(Reflect.get({}, 'b')).to.equal(undefined);
  });
});
