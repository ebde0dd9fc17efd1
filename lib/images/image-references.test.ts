import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { referencedImages, setImageReferences } from './image-references.js';

describe('references to images', () => {
  let images: TemporaryDirectory;
  const image = (name: string) => join(images.path, name);

  beforeEach(async () => {
    images = await temporaryDirectory();
  });

  afterEach(() => images.remove());

  it('are none in a folder in which nobody has made any', async () => {
    expect([...(await referencedImages(images.path))]).to.deep.equal([]);
  });

  it('follow what an instance needs, and leave those of another alone', async () => {
    await setImageReferences(images.path, 'first', [image('a-1.ext4'), image('b.squashfs')]);
    await setImageReferences(images.path, 'second', [image('a-1.ext4')]);
    await setImageReferences(images.path, 'first', [image('c.cpio')]);

    expect([...(await referencedImages(images.path))].sort()).to.deep.equal(['a-1.ext4', 'c.cpio']);
  });

  it('are made only for files of the folder', async () => {
    await setImageReferences(images.path, 'first', ['', '/etc/passwd', image('deeper/a.ext4')]);

    expect([...(await referencedImages(images.path))]).to.deep.equal([]);
  });
});
