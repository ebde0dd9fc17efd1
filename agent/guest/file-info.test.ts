/** What guests say about files, as a caller hears it. */
import { expect } from 'chai';
import { FileEvent, FileEventType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { checkFileEvent } from './file-info.js';

const ROOT = '/watched';

describe('the check of what a guest says about files', () => {
  it('lets a guest say that events were lost, whatever path it names', () => {
    for (const path of ['', ROOT, '/etc/passwd']) {
      const type = FileEventType.FILE_EVENT_TYPE_OVERFLOW;
      const lost = checkFileEvent(FileEvent.fromPartial({ type, path, oldPath: path }), ROOT);

      const expected = { type: 'overflow', path: ROOT, oldPath: '', isDirectory: true };
      expect(lost).to.deep.equal(expected);
    }
  });
});
