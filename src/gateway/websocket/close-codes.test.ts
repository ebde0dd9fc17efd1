import { expect } from 'chai';
import { Code, toStatus, WrennError } from '../../../lib/errors/index.js';
import { closeCodeOf, closeReasonOf } from './close-codes.js';
import { CLOSE_REASON_BYTES_MAX } from './limits.js';

describe('the close code of a failed call', () => {
  it('is 4000 and the code of gRPC', () => {
    const error = new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
    expect(closeCodeOf(toStatus(error))).to.equal(4005);
    expect(closeReasonOf(toStatus(error))).to.equal('SANDBOX_NOT_FOUND');
  });

  it('is 4002 for a code that is no error or that nobody knows', () => {
    for (const code of [Code.OK, -1, 17, 99_999]) {
      expect(closeCodeOf({ code, message: '', details: [] })).to.equal(4002);
    }
  });

  it('comes with a reason that a close frame can hold', () => {
    const reason = closeReasonOf({ code: 2, message: 'x'.repeat(1000), details: [] });
    expect(Buffer.byteLength(reason)).to.be.within(1, CLOSE_REASON_BYTES_MAX);
  });
});
