import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { hasReason } from '../errors/index.js';
import {
  formatManifest,
  type ImageManifest,
  MANIFEST_NAME,
  manifestPaths,
  parseManifest,
  readManifest,
} from './manifest.js';

const DIRECTORY = '/images';
const HASH = 'ab'.repeat(32);

const manifest: ImageManifest = {
  kernel: { path: '/images/vmlinux-1', sha256: HASH, version: '6.1.0-1-cloud-amd64' },
  initrd: { path: '/images/initrd-1.cpio', sha256: HASH },
  tools: { path: '/images/tools-1.squashfs', sha256: HASH, nodeVersion: 'v20.19.0' },
  templates: {
    minimal: {
      path: '/images/minimal-1.ext4',
      sha256: HASH,
      sizeBytes: 4096,
      virtualSizeBytes: 8192,
    },
  },
};

describe('image manifest', () => {
  it('comes back from its own text as it was', () => {
    expect(parseManifest(formatManifest(manifest, DIRECTORY), DIRECTORY)).to.deep.equal(manifest);
  });

  it('means the same images after its folder has moved', () => {
    const moved = parseManifest(formatManifest(manifest, DIRECTORY), '/elsewhere');
    expect(moved.tools.path).to.equal('/elsewhere/tools-1.squashfs');
  });

  it('names every file that it needs', () => {
    expect(manifestPaths(manifest)).to.have.members([
      '/images/vmlinux-1',
      '/images/initrd-1.cpio',
      '/images/tools-1.squashfs',
      '/images/minimal-1.ext4',
    ]);
  });

  it('is read from its folder', async () => {
    await using directory = await temporaryDirectory();
    const content = formatManifest(manifest, DIRECTORY);
    await writeFile(join(directory.path, MANIFEST_NAME), content);
    const read = await readManifest(directory.path);
    expect(read.kernel.path).to.equal(join(directory.path, 'vmlinux-1'));
  });

  it('says that the machine has no images where there is no manifest', async () => {
    await using directory = await temporaryDirectory();
    const outcome = await readManifest(directory.path).catch((error: unknown) => error);
    expect(hasReason(outcome, 'HOST_REQUIREMENT')).to.equal(true);
  });

  const damaged: [string, (fields: Fields) => void][] = [
    ['another version', (fields) => Object.assign(fields, { version: 2 })],
    ['no version', (fields) => Object.assign(fields, { version: undefined })],
    ['no kernel', (fields) => Object.assign(fields, { kernel: undefined })],
    ['a list for an object', (fields) => Object.assign(fields, { templates: [] })],
    ['a short hash', ({ initrd }) => Object.assign(initrd, { sha256: 'abc' })],
    ['an absolute path', ({ initrd }) => Object.assign(initrd, { path: '/etc/shadow' })],
    ['a path out of its folder', ({ initrd }) => Object.assign(initrd, { path: 'a/../../b' })],
    ['an empty path', ({ initrd }) => Object.assign(initrd, { path: '' })],
    ['a bad template name', ({ templates }) => Object.assign(templates, { '../x': {} })],
    [
      'a negative size',
      ({ templates }) => Object.assign(templates.minimal as object, { sizeBytes: -1 }),
    ],
  ];
  for (const [title, damage] of damaged) {
    it(`is refused with ${title}`, () => {
      const fields = JSON.parse(formatManifest(manifest, DIRECTORY)) as Fields;
      damage(fields);
      expect(() => parseManifest(JSON.stringify(fields), DIRECTORY))
        .to.throw()
        .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
    });
  }

  it('is refused when it is not JSON', () => {
    expect(() => parseManifest('{"version":', DIRECTORY))
      .to.throw()
      .that.satisfies((error: unknown) => hasReason(error, 'HOST_REQUIREMENT'));
  });
});

interface Fields {
  initrd: object;
  templates: Record<string, unknown>;
}
