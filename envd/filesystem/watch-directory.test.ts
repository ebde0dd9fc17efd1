import { expect } from 'chai';
import { rejectionOf } from '../../test/support/rejection.js';
import { DirectoryWatches, WATCHES_MAX } from './watch-directory.js';

describe('DirectoryWatches', () => {
  it('counts no watch whose helper could not be started', async () => {
    // Node refuses a zero byte at once, as it does much of what the kernel refuses.
    const watches = new DirectoryWatches('/no\0helper');
    const { signal } = new AbortController();

    for (let count = 0; count <= WATCHES_MAX; count += 1) {
      const error = await rejectionOf(
        watches.watch({ path: '/', recursive: false }, signal).next(),
      );
      expect(error).not.to.have.property('reason', 'STREAM_LIMIT');
    }
  });
});
