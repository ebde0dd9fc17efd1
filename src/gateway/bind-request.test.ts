import { fromBinary, type JsonValue, type Registry, toJson } from '@bufbuild/protobuf';
import { expect } from 'chai';
import { WrennError } from '../../lib/errors/index.js';
import { compileLibrary } from '../../test/support/compile-proto.js';
import { bindRequest } from './bind-request.js';
import { withoutExtensions } from './json-message.js';
import type { ParsedBody } from './request-body.js';
import { parseTarget } from './request-path.js';
import { buildRouteTable, type RouteTable } from './route-table.js';

describe('bindRequest', () => {
  let registry: Registry;
  let table: RouteTable;

  before(async function () {
    this.timeout(60_000);
    const library = await compileLibrary();
    registry = withoutExtensions(library);
    table = buildRouteTable(library, 'test.library.v1');
  });

  /** The message that a request stands for, as JSON. */
  function bind(method: string, target: string, body?: JsonValue): JsonValue {
    const { path, query } = parseTarget(target);
    const match = table.find(method, path);
    const parsed: ParsedBody =
      body === undefined ? { kind: 'empty' } : { kind: 'json', json: body };
    const { bytes } = bindRequest(match, query, parsed, registry);
    const options = { registry, useProtoFieldName: true };
    return toJson(match.route.input, fromBinary(match.route.input, bytes), options);
  }

  function refusalOf(method: string, target: string, body?: JsonValue) {
    try {
      return { message: bind(method, target, body) };
    } catch (error) {
      if (!(error instanceof WrennError)) throw error;
      return { reason: error.reason, field: error.violations[0]?.field };
    }
  }

  describe('from the path', () => {
    it('sets fields of the message and of messages in it', () => {
      expect(bind('GET', '/v1/shelves/1/books/2')).to.deep.equal({ name: 'shelves/1/books/2' });
      expect(bind('GET', '/v1/authors/Mary%20S./book')).to.deep.equal({
        author: { name: 'Mary S.' },
      });
    });

    it('keeps escaped slashes of a path of several segments', () => {
      expect(bind('GET', '/v1/files/a%2Fb/c')).to.deep.equal({ name: 'a%2Fb/c' });
    });
  });

  describe('from the query', () => {
    const taken: [string, JsonValue][] = [
      ['page_count=5', { page_count: 5 }],
      ['pageCount=5', { page_count: 5 }],
      ['page_count=-0', {}],
      ['sold_count=9223372036854775807', { sold_count: '9223372036854775807' }],
      ['price=1.5e3', { price: 1500 }],
      ['price=NaN', { price: 'NaN' }],
      ['is_lent=true', { is_lent: true }],
      ['is_lent=false', {}],
      ['cover=AQID', { cover: 'AQID' }],
      ['id=a%26b+c%2Bd', { id: 'a&b c+d' }],
      ['id=', {}],
      ['id', {}],
      ['id=a=b', { id: 'a=b' }],
      ['&&id=a&', { id: 'a' }],
      ['genre=GENRE_NOVEL', { genre: 'GENRE_NOVEL' }],
      ['genre=2', { genre: 'GENRE_POETRY' }],
      ['genres=GENRE_NOVEL&genres=2', { genres: ['GENRE_NOVEL', 'GENRE_POETRY'] }],
      ['tags=b&tags=a&tags=b', { tags: ['b', 'a', 'b'] }],
      ['author.name=x&author.teacher.name=y', { author: { name: 'x', teacher: { name: 'y' } } }],
      ['printed_at=2026-01-02T03:04:05.5Z', { printed_at: '2026-01-02T03:04:05.500Z' }],
      ['loan=1.5s', { loan: '1.500s' }],
      ['fields=page_count,author.name', { fields: 'pageCount,author.name' }],
      ['fields=pageCount', { fields: 'pageCount' }],
      ['rating=3', { rating: 3 }],
      ['binding=cloth', { binding: 'cloth' }],
    ];
    for (const [query, expected] of taken) {
      it(`takes ${query}`, () => {
        expect(bind('GET', `/v1/books?${query}`)).to.deep.equal(expected);
      });
    }

    const refused: [string, string | undefined][] = [
      ['nothing=1', 'nothing'],
      ['author.nothing=1', 'author.nothing'],
      ['id.x=1', 'id.x'],
      ['__proto__=1', '__proto__'],
      ['__proto__.x=1', '__proto__.x'],
      ['constructor=1', 'constructor'],
      ['author=x', 'author'],
      ['author.teacher=x', 'author.teacher'],
      ['labels=x', 'labels'],
      ['translators=x', 'translators'],
      ['translators.name=x', 'translators.name'],
      ['printed_at.seconds=1', 'printed_at.seconds'],
      ['printed_at=2026-01-02T03:04:05Z&printed_at.seconds=1', 'printed_at.seconds'],
      ['page_count=1&page_count=2', 'page_count'],
      ['page_count=1&pageCount=2', 'pageCount'],
      ['page_count=%201', 'page_count'],
      ['page_count=0x1', 'page_count'],
      ['page_count=1.5', 'page_count'],
      ['page_count=2147483648', 'page_count'],
      ['page_count=', 'page_count'],
      ['sold_count=1e400', 'sold_count'],
      ['price=0x1', 'price'],
      ['price=1e400', 'price'],
      ['is_lent=yes', 'is_lent'],
      ['is_lent=TRUE', 'is_lent'],
      ['genre=NOVEL', 'genre'],
      ['genre=', 'genre'],
      ['cover=!', 'cover'],
      ['printed_at=today', 'printed_at'],
      ['loan=1', 'loan'],
      ['binding=a&format=b', undefined],
      ['id=%ff', undefined],
      ['id=%', undefined],
      [`${'author.teacher.teacher.teacher.teacher.teacher.teacher.teacher.name'}=1`, undefined],
      ['tags=a&'.repeat(65), undefined],
    ];
    for (const [query, field] of refused) {
      it(`refuses ${query.slice(0, 60)}`, () => {
        const refusal = refusalOf('GET', `/v1/books?${query}`);
        expect(refusal.reason).to.equal('INVALID_REQUEST');
        if (field) expect(refusal.field).to.equal(field);
      });
    }

    it('refuses what the path or the body sets', () => {
      const inPath = refusalOf('GET', '/v1/books/1?id=2');
      expect(inPath).to.deep.equal({ reason: 'INVALID_REQUEST', field: 'id' });
      const inBody = refusalOf('PATCH', '/v1/books/1?book.name=x', {});
      expect(inBody).to.deep.equal({ reason: 'INVALID_REQUEST', field: 'book.name' });
      const wholeBody = refusalOf('POST', '/v1/books/1:lend?name=x');
      expect(wholeBody).to.deep.equal({ reason: 'INVALID_REQUEST', field: 'name' });
    });
  });

  describe('from a raw body', () => {
    const content = { contentType: 'image/png', data: Buffer.from([0, 255]) };
    const scan = { content_type: 'image/png', data: 'AP8=' };

    function bindRaw(method: string, target: string, body: ParsedBody): JsonValue {
      const { path, query } = parseTarget(target);
      const match = table.find(method, path);
      const { bytes } = bindRequest(match, query, body, registry);
      const options = { registry, useProtoFieldName: true };
      return toJson(match.route.input, fromBinary(match.route.input, bytes), options);
    }

    it('sets a field, with the path and the query around it', () => {
      const taken = 'taken_at=2026-01-02T03:04:05Z&taken_at=2026-01-03T00:00:00Z';
      const target = `/v1/books/1/scan?page=0&note=&${taken}`;
      expect(bindRaw('PUT', target, { kind: 'raw', ...content })).to.deep.equal({
        book_id: '1',
        scan,
        page: 0,
        taken_at: ['2026-01-02T03:04:05Z', '2026-01-03T00:00:00Z'],
        note: '',
      });
    });

    it('stands for the message itself', () => {
      const request = bindRaw('POST', '/v1/pages:print', { kind: 'raw', ...content });
      expect(request).to.deep.equal(scan);
    });

    it('stands behind the fields that came before it', () => {
      const body = { kind: 'fields', json: { page: 2 }, contentType: 'image/png' } as const;
      expect(bindRaw('POST', '/v1/books/1/scans', body)).to.deep.equal({
        book_id: '1',
        page: 2,
        scan: { content_type: 'image/png' },
      });
    });

    it('leaves nothing where there is none', () => {
      const request = bindRaw('PUT', '/v1/books/1/scan', { kind: 'empty' });
      expect(request).to.deep.equal({ book_id: '1' });
    });

    it('is set by no parameter', () => {
      for (const [method, path, field] of [
        ['PUT', '/v1/books/1/scan', 'scan.content_type'],
        ['POST', '/v1/books/1/scans', 'scan.data'],
        ['POST', '/v1/pages:print', 'content_type'],
      ] as const) {
        const refusal = refusalOf(method, `${path}?${field}=a`);
        expect(refusal).to.deep.equal({ reason: 'INVALID_REQUEST', field });
      }
    });
  });

  describe('from the body', () => {
    it('reads a field that is a list', () => {
      const request = bind('PUT', '/v1/books/1/tags?name=x', ['a', 'b']);
      expect(request).to.deep.equal({ id: '1', name: 'x', tags: ['a', 'b'] });
    });

    it('reads the whole message', () => {
      const body = {
        pageCount: '7',
        labels: { a: 'b', __proto: 'c' },
        translators: [{ name: 'x' }],
        sold_count: '9007199254740993',
        printed_at: '2026-01-02T03:04:05Z',
        genre: null,
      };
      expect(bind('POST', '/v1/books/1:lend', body)).to.deep.equal({
        id: '1',
        page_count: 7,
        labels: { a: 'b', __proto: 'c' },
        translators: [{ name: 'x' }],
        sold_count: '9007199254740993',
        printed_at: '2026-01-02T03:04:05Z',
      });
    });

    it('reads one field, with the path and the query around it', () => {
      const request = bind('PATCH', '/v1/books/1?update_mask=page_count', { page_count: 7 });
      expect(request).to.deep.equal({
        book: { id: '1', page_count: 7 },
        update_mask: 'pageCount',
      });
    });

    it('takes no body for an empty message', () => {
      expect(bind('POST', '/v1/books/1:lend')).to.deep.equal({ id: '1' });
    });

    it('takes a body that agrees with the path, and refuses one that does not', () => {
      expect(bind('POST', '/v1/books/1:lend', { id: '1' })).to.deep.equal({ id: '1' });
      const refusal = refusalOf('POST', '/v1/books/1:lend', { id: '2' });
      expect(refusal).to.deep.equal({ reason: 'INVALID_REQUEST', field: 'id' });
      const nested = refusalOf('PATCH', '/v1/books/1', { id: '2' });
      expect(nested).to.deep.equal({ reason: 'INVALID_REQUEST', field: 'book.id' });
    });

    const own = JSON.parse('{"__proto__":{"name":"x"}}') as JsonValue;
    const refused: [string, JsonValue, string | undefined][] = [
      ['an unknown field', { nothing: 1 }, 'nothing'],
      [
        'an unknown field inside',
        { author: { teacher: { nothing: 1 } } },
        'author.teacher.nothing',
      ],
      ['__proto__', own, '__proto__'],
      ['an extension', { '[google.api.http]': {} }, '[google.api.http]'],
      ['a list', [], undefined],
      ['null', null, undefined],
      ['a string', 'x', undefined],
      ['a number for a string', { name: 1 }, 'name'],
      ['a string for a bool', { is_lent: 'true' }, 'is_lent'],
      ['a string for a message', { author: 'x' }, 'author'],
      ['an object for a list', { tags: {} }, 'tags'],
      ['a list for a map', { labels: [] }, 'labels'],
      ['null in a list', { tags: [null] }, 'tags'],
      ['null in a map', { labels: { a: null } }, 'labels'],
      ['a fraction for an integer', { page_count: 1.5 }, 'page_count'],
      ['an integer that does not fit', { page_count: 2147483648 }, 'page_count'],
      ['a blank before a number', { sold_count: ' 1' }, 'sold_count'],
      ['a hexadecimal number', { price: '0x1' }, 'price'],
      ['a binary number in a map', { sales: { a: '0b1' } }, 'sales'],
      ['a number with a plus', { page_count: '+1' }, 'page_count'],
      ['an integer that JSON.parse rounds', { sold_count: 2 ** 53 }, 'sold_count'],
      ['Infinity out of JSON.parse', { price: JSON.parse('1e400') as number }, 'price'],
      ['an unknown enum name', { genre: 'NOVEL' }, 'genre'],
      ['an enum in a list', { genres: ['GENRE_NOVEL', 'X'] }, 'genres'],
      ['a bad time', { printed_at: '2026-01-02' }, 'printed_at'],
      ['a lone surrogate', { name: '\ud800' }, 'name'],
      ['bad base64', { cover: '?' }, 'cover'],
      ['a field by both names', { page_count: 1, pageCount: 2 }, undefined],
      ['two of a oneof', { binding: 'a', format: 'b' }, undefined],
    ];
    for (const [what, body, field] of refused) {
      it(`refuses ${what}`, () => {
        const refusal = refusalOf('POST', '/v1/books/1:lend', body);
        expect(refusal).to.deep.equal({ reason: 'INVALID_JSON', field });
      });
    }

    it('takes a map key that other languages trip over', () => {
      const body = JSON.parse('{"labels":{"__proto__":"x","constructor":"y"}}') as JsonValue;
      const bound = bind('POST', '/v1/books/1:lend', body) as { labels: object };
      expect(Object.entries(bound.labels)).to.deep.equal([
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ]);
      expect(Reflect.get({}, 'x')).to.equal(undefined);
    });

    it('refuses a message that is larger than the services take', () => {
      const refusal = refusalOf('POST', '/v1/books/1:lend', { name: 'a'.repeat(4 * 1024 * 1024) });
      expect(refusal.reason).to.equal('BODY_TOO_LARGE');
    });

    it('bounds messages that hold themselves', () => {
      let author: JsonValue = {};
      for (let depth = 0; depth < 80; depth += 1) author = { teacher: author };
      expect(refusalOf('POST', '/v1/books/1:lend', { author }).reason).to.equal('INVALID_JSON');
    });
  });
});
