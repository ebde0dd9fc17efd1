/** Hostile JSON over HTTP: each is refused with its reason before any service hears of it. */
import { expect } from 'chai';
import type { CreateSandboxRequest } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { JSON_DEPTH_MAX } from '../../src/gateway/limits.js';
import { errorInfo, type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';

const DEEP = 10_000;

/** Bodies for a method that takes `{template, vcpus, memoryMb, env, metadata}`. */
const HOSTILE: [string, string | Buffer][] = [
  ['a key twice', '{"vcpus":1,"vcpus":2}'],
  ['a key twice, once escaped', '{"vcpus":1,"\\u0076cpus":2}'],
  ['a field by both of its names', '{"memory_mb":512,"memoryMb":512}'],
  ['a key of a map twice', '{"env":{"A":"1","A":"2"}}'],
  ['__proto__ as a field', '{"__proto__":{"polluted":"yes"}}'],
  ['__proto__ twice', '{"__proto__":{"polluted":"yes"},"__proto__":1}'],
  ['an escaped __proto__', '{"\\u005f_proto__":{"polluted":"yes"}}'],
  ['__proto__ as a message', '{"env":{"__proto__":{"polluted":"yes"}}}'],
  ['constructor as a field', '{"constructor":{"prototype":{"polluted":"yes"}}}'],
  ['constructor as a message', '{"metadata":{"constructor":{"prototype":{"polluted":"yes"}}}}'],
  ['toString as a field', '{"toString":"x"}'],
  ['hasOwnProperty as a field', '{"hasOwnProperty":1}'],
  ['arrays too deep', '['.repeat(DEEP) + ']'.repeat(DEEP)],
  ['objects too deep', `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`],
  ['arrays that never close', '['.repeat(DEEP)],
  ['one level too deep', `{"env":${'['.repeat(JSON_DEPTH_MAX)}${']'.repeat(JSON_DEPTH_MAX)}}`],
  ['a number beyond any double', '{"vcpus":1e400}'],
  ['a negative number beyond any double', '{"vcpus":-1e400}'],
  ['an integer beyond its field', '{"vcpus":9223372036854775808}'],
  ['an integer of 100,000 digits', `{"vcpus":${'9'.repeat(100_000)}}`],
  ['a number with a fraction for an integer', '{"vcpus":1.5}'],
  ['NaN', '{"vcpus":NaN}'],
  ['NaN as a string', '{"vcpus":"NaN"}'],
  ['Infinity as a string', '{"vcpus":"Infinity"}'],
  ['a hexadecimal string for a number', '{"vcpus":"0x1"}'],
  ['a string with space for a number', '{"vcpus":" 1"}'],
  ['a leading zero', '{"vcpus":01}'],
  ['a number for a string', '{"template":1}'],
  ['an object for a string', '{"template":{"toString":"x"}}'],
  ['an array for a message', '[]'],
  ['a bare string', '"minimal"'],
  ['null', 'null'],
  ['null in a map', '{"env":{"A":null}}'],
  ['half a surrogate pair', '{"template":"\\ud800"}'],
  ['half a surrogate pair as a key', '{"env":{"\\udfff":"1"}}'],
  ['a surrogate pair in the wrong order', '{"template":"\\udc00\\ud800"}'],
  ['a byte order mark', '\ufeff{}'],
  ['UTF-16', Buffer.from('{}', 'utf16le')],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['an overlong encoding', Buffer.from([0x22, 0xc0, 0x80, 0x22])],
  ['a bare NUL', '\0'],
  ['a NUL in a string', '{"template":"a\0b"}'],
  ['a NUL behind the value', '{}\0'],
  ['a line break in a string', '{"template":"a\nb"}'],
  ['two values', '{} {}'],
  ['text behind the value', '{}garbage'],
  ['a comma behind the last member', '{"vcpus":1,}'],
  ['a comment', '{/* */}'],
  ['single quotes', "{'vcpus':1}"],
  ['a key without quotes', '{vcpus:1}'],
  ['a cut text', '{"vcpus":'],
  ['space alone', '   '],
  ['an extension', '{"[wrenn.v1.extension]":1}'],
];

describe('hostile JSON over HTTP', () => {
  let fixture: GatewayFixture;
  const taken: CreateSandboxRequest[] = [];

  before(async () => {
    fixture = await startGatewayFixture({
      sandboxes: {
        createSandbox: async (_context, request) => {
          taken.push(request);
          throw new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'heard');
        },
      },
    });
  });
  beforeEach(() => {
    taken.length = 0;
  });
  afterEach(() => {
    expect(Reflect.get({}, 'polluted')).to.equal(undefined);
  });
  after(() => fixture.close());

  for (const [what, body] of HOSTILE) {
    it(`with ${what} is refused`, async () => {
      const answer = await http(fixture, 'POST', '/v1/sandboxes', { body });
      expect(answer.status).to.equal(400);
      expect(errorInfo(answer).reason).to.equal('INVALID_JSON');
      expect(taken).to.have.length(0);
    });
  }

  it('that is only odd reaches the service as it is', async () => {
    const body = '{"vcpus":-0,"env":{"constructor":"c","toString":"\\ud83d\\ude00"}}';
    const answer = await http(fixture, 'POST', '/v1/sandboxes', { body });
    expect(errorInfo(answer).reason, answer.body.toString()).to.equal('SANDBOX_CONFLICT');
    const [{ vcpus, env } = {}] = taken;
    expect(vcpus).to.equal(0);
    expect(Object.entries(env ?? {}).sort()).to.deep.equal([
      ['constructor', 'c'],
      ['toString', '\u{1f600}'],
    ]);
  });
});
