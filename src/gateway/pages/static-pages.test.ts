import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../../lib/errors/index.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { type PageRequest, StaticPages } from './static-pages.js';

describe('StaticPages', () => {
  const files = [
    {
      path: '/page',
      file: 'built/index.html',
      contentType: 'text/html',
      contentSecurityPolicy: 'p',
    },
    { path: '/page/main.js', file: 'built/main.js', contentType: 'text/javascript' },
  ];
  let directory: TemporaryDirectory;
  let pages: StaticPages;

  before(async () => {
    directory = await temporaryDirectory();
    await mkdir(join(directory.path, 'built'));
    await writeFile(join(directory.path, 'built', 'index.html'), '<p>hello');
    await writeFile(join(directory.path, 'built', 'main.js'), 'hello()');
    await writeFile(join(directory.path, 'built', 'other.js'), 'secret()');
    pages = StaticPages.load(files, directory.path);
  });

  after(() => directory.remove());

  const ask = (path: string, more: Partial<PageRequest> = {}) =>
    pages.answer({ method: 'GET', path, ifNoneMatch: undefined, ...more });

  it('answer with the file, its type and its policy', () => {
    const answer = ask('/page');
    expect(answer?.httpStatus).to.equal(200);
    expect(answer?.contentType).to.equal('text/html');
    expect(answer?.body.toString()).to.equal('<p>hello');
    expect(answer?.headers).to.include({
      'content-security-policy': 'p',
      'cache-control': 'no-cache',
    });
    expect(ask('/page/main.js')?.headers).not.to.have.property('content-security-policy');
  });

  it('answer HEAD as GET', () => {
    expect(ask('/page', { method: 'HEAD' })).to.deep.equal(ask('/page'));
  });

  it('say that a file is unchanged to who has it, and only to them', () => {
    const etag = ask('/page')?.headers.etag ?? '';
    expect(etag).to.match(/^"[\w-]{43}"$/);
    expect(ask('/page/main.js')?.headers.etag).not.to.equal(etag);
    for (const ifNoneMatch of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      expect(ask('/page', { ifNoneMatch })?.httpStatus, ifNoneMatch).to.equal(304);
    }
    for (const ifNoneMatch of ['', '"other"', etag.slice(1, -1)]) {
      expect(ask('/page', { ifNoneMatch })?.httpStatus, ifNoneMatch).to.equal(200);
    }
  });

  it('know no path but those of the table', () => {
    const paths = [
      ...['/', '/page/', '/page/other.js', '/page/../page', '/page/index.html', '/PAGE'],
      ...['/page/%2e%2e/built/other.js', '/page/main.js/', '/__proto__', '/constructor', ''],
    ];
    for (const path of paths) expect(ask(path), path).to.equal(undefined);
  });

  it('take no other methods, and say which they take', () => {
    expect(ask('/page', { method: 'OPTIONS' })?.headers).to.deep.equal({
      allow: 'GET, HEAD, OPTIONS',
    });
    for (const method of ['POST', 'PUT', 'DELETE', 'get']) {
      let thrown: unknown;
      try {
        ask('/page', { method });
      } catch (error) {
        thrown = error;
      }
      expect(hasReason(thrown, 'METHOD_NOT_ALLOWED'), method).to.equal(true);
    }
  });

  it('do not load when a file is missing', () => {
    const missing = [{ path: '/gone', file: 'built/gone.html', contentType: 'text/html' }];
    let thrown: unknown;
    try {
      StaticPages.load(missing, directory.path);
    } catch (error) {
      thrown = error;
    }
    expect(hasReason(thrown, 'HOST_REQUIREMENT')).to.equal(true);
  });
});
