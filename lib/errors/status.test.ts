import { expect } from 'chai';
import { ErrorReason } from '../../gen/ts/wrenn/v1/errors.js';
import {
  Code,
  fromServiceError,
  fromStatus,
  reasonName,
  reasonNumber,
  toServiceError,
  toStatus,
  WrennError,
} from './index.js';

describe('google.rpc.Status of an error', () => {
  const error = new WrennError(Code.RESOURCE_EXHAUSTED, 'HOST_EXHAUSTED', 'no memory left', {
    metadata: { memory_mb_free: '12' },
    violations: [{ field: 'memory_mb', description: 'too much', rule: 'memory_mb.range' }],
    retryAfterSec: 10,
    cause: new Error('internal detail'),
  });

  it('survives the way over the wire with reason, metadata, violations and retry time', () => {
    const received = fromStatus(toStatus(error, 'request1'));
    expect(received).to.include({
      code: Code.RESOURCE_EXHAUSTED,
      reason: 'HOST_EXHAUSTED',
      message: 'no memory left',
    });
    expect(received.metadata).to.deep.equal({ memory_mb_free: '12', request_id: 'request1' });
    expect(received.violations).to.deep.equal(error.violations);
    expect(received.retryAfterSec).to.equal(10);
  });

  it('says nothing about the cause', () => {
    const bytes = JSON.stringify(toServiceError(error));
    expect(bytes).not.to.contain('internal detail');
  });

  it('is INTERNAL with a fixed text for anything that is not a WrennError', () => {
    for (const thrown of [new TypeError('secret path /etc'), 'text', undefined, { code: 3 }]) {
      const status = toStatus(thrown);
      expect(status.code).to.equal(Code.INTERNAL);
      expect(status.message).not.to.contain('secret');
    }
  });

  it('is read from what a gRPC client throws, and from one without details by its code', () => {
    const { code, details, metadata } = toServiceError(error);
    const thrown = Object.assign(new Error('8 RESOURCE_EXHAUSTED'), { code, details, metadata });
    expect(fromServiceError(thrown)).to.include({
      reason: 'HOST_EXHAUSTED',
      code: Code.RESOURCE_EXHAUSTED,
    });
    const bare = Object.assign(new Error('14 UNAVAILABLE'), {
      code: Code.UNAVAILABLE,
      details: 'no connection',
    });
    expect(fromServiceError(bare)).to.include({ reason: 'UNSPECIFIED', code: Code.UNAVAILABLE });
  });

  it('ignores a reason and details that it does not know', () => {
    const status = toStatus(error);
    const strange = { typeUrl: 'type.googleapis.com/unknown.Detail', value: Buffer.from('x') };
    expect(fromStatus({ ...status, details: [strange] }).reason).to.equal('UNSPECIFIED');
  });
});

describe('reasons', () => {
  it('map to proto numbers and back, every one', () => {
    for (const value of Object.values(ErrorReason)) {
      if (typeof value !== 'number' || value < 0) continue;
      expect(reasonNumber(reasonName(value))).to.equal(value);
    }
  });

  it('of a newer version are UNSPECIFIED', () => {
    expect(reasonName(9999 as ErrorReason)).to.equal('UNSPECIFIED');
  });
});
