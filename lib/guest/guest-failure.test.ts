import { expect } from 'chai';
import { Code, type Reason, WrennError } from '../errors/index.js';
import {
  GUEST_FAILURES,
  guestFailure,
  outputOutOfRange,
  readGuestFailure,
  retellGuestFailure,
} from './guest-failure.js';

describe('guest failures', () => {
  for (const name of GUEST_FAILURES) {
    it(`carry ${name} from a guest to the host`, () => {
      expect(readGuestFailure(guestFailure(name))).to.equal(name);
    });
  }

  it('fall back to the reason for a name that this host does not know', () => {
    expect(read('FILE_NOT_USABLE', 'file_of_a_newer_guest')).to.equal('file_not_usable');
    expect(read('COMMAND_NOT_FOUND', 'toString')).to.equal('program_not_found');
  });

  it('fall back to the reason for a name that belongs to another reason', () => {
    expect(read('FILE_NOT_FOUND', 'disk_full')).to.equal('file_not_found');
  });

  it('are only what a guest may report', () => {
    for (const reason of ['INTERNAL', 'CREDENTIAL_INVALID', 'VMM_EXITED'] as const) {
      expect(read(reason, 'disk_full')).to.equal(undefined);
    }
  });

  it('carry the offsets of output that is kept', () => {
    const told = retellGuestFailure(outputOutOfRange(5, 1_000_005));

    expect(told).to.include({ code: Code.OUT_OF_RANGE, reason: 'OUTPUT_OUT_OF_RANGE' });
    expect(told?.metadata).to.deep.equal({
      failure: 'output_out_of_range',
      first_offset: '5',
      next_offset: '1000005',
    });
  });

  it('carry nothing else that a guest says', () => {
    const metadata = { first_offset: '1e3', next_offset: '-1', request_id: 'x', failure: 'y' };
    const lie = new WrennError(Code.INTERNAL, 'OUTPUT_OUT_OF_RANGE', 'words', { metadata });

    const told = retellGuestFailure(lie);

    expect(told?.code).to.equal(Code.OUT_OF_RANGE);
    expect(told?.message).not.to.equal('words');
    expect(told?.metadata).to.deep.equal({ failure: 'output_out_of_range' });
    expect(retellGuestFailure(new WrennError(Code.INTERNAL, 'INTERNAL', 'x'))).to.equal(undefined);
  });

  function read(reason: Reason, failure: string) {
    return readGuestFailure(new WrennError(Code.UNKNOWN, reason, 'x', { metadata: { failure } }));
  }
});
