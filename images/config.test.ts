import { expect } from 'chai';
import { hasReason } from '../lib/errors/index.js';
import { CACHE_DIRECTORY_FALLBACK, IMAGES_DIRECTORY_FALLBACK, readConfig } from './config.js';

describe('settings of the image build', () => {
  it('have fallbacks for everything', () => {
    expect(readConfig([], {})).to.deep.equal({
      imagesDirectory: IMAGES_DIRECTORY_FALLBACK,
      cacheDirectory: CACHE_DIRECTORY_FALLBACK,
      refresh: false,
      json: false,
    });
  });

  it('come from the arguments before the environment', () => {
    const environment = { WRENN_IMAGES_DIR: '/from/environment' };
    expect(readConfig([], environment).imagesDirectory).to.equal('/from/environment');
    const config = readConfig(
      ['--images-dir', '/a', '--cache-dir', '/b', '--refresh', '--json'],
      environment,
    );
    expect(config).to.deep.equal({
      imagesDirectory: '/a',
      cacheDirectory: '/b',
      refresh: true,
      json: true,
    });
  });

  it('refuse an argument that they do not know', () => {
    expect(() => readConfig(['--image-dir', '/a'], {}))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });
});
