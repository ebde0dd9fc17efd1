import { expect } from 'chai';
import { createRecordingLog } from '../../test/support/recording-log.js';
import { reasonOf } from '../../test/support/rejection.js';
import { GuestClient } from './guest-client.js';

describe('GuestClient', () => {
  it('logs a try that failed while the guest boots as one short line', async () => {
    const log = createRecordingLog();
    const client = new GuestClient({ target: '127.0.0.1:1', token: 'token', log });

    const ready = client.waitUntilReady(100, new AbortController().signal);
    expect(await reasonOf(ready)).to.equal('GUEST_UNREACHABLE');
    client.close();

    expect(log.lines).not.to.have.length(0);
    for (const line of log.lines) {
      const { level, reason, ...others } = JSON.parse(line);
      expect(level).to.equal('debug');
      expect(reason).to.be.a('string');
      expect(others).to.have.all.keys('message');
    }
  });
});
