import { expect } from 'chai';
import { Code, type Reason, WrennError } from '../../lib/errors/index.js';
import { fromAgentError, fromBootError, fromForkError } from './agent-errors.js';

describe('errors of a host agent', () => {
  // What the agent says, and what a caller gets.
  const cases: [Code, Reason, Record<string, string>, Code, Reason][] = [
    [Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', {}, Code.FAILED_PRECONDITION, 'SANDBOX_LOST'],
    [
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
      { state: 'STARTING' },
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
    ],
    [
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
      { state: 'ENDED', end_reason: 'VMM_EXITED' },
      Code.FAILED_PRECONDITION,
      'VMM_EXITED',
    ],
    [
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
      { state: 'ENDED', end_reason: 'SANDBOX_TIMEOUT' },
      Code.FAILED_PRECONDITION,
      'SANDBOX_TIMEOUT',
    ],
    [Code.UNAVAILABLE, 'UNSPECIFIED', {}, Code.UNAVAILABLE, 'HOST_UNAVAILABLE'],
    [Code.DEADLINE_EXCEEDED, 'CANCELLED', {}, Code.UNAVAILABLE, 'HOST_UNAVAILABLE'],
    [Code.UNAVAILABLE, 'SHUTTING_DOWN', {}, Code.UNAVAILABLE, 'HOST_UNAVAILABLE'],
    [Code.CANCELLED, 'CANCELLED', {}, Code.CANCELLED, 'CANCELLED'],
    [Code.RESOURCE_EXHAUSTED, 'HOST_EXHAUSTED', {}, Code.RESOURCE_EXHAUSTED, 'HOST_EXHAUSTED'],
    [Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL', {}, Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL'],
    [Code.NOT_FOUND, 'COMMAND_NOT_FOUND', {}, Code.NOT_FOUND, 'COMMAND_NOT_FOUND'],
    [Code.NOT_FOUND, 'FILE_NOT_FOUND', {}, Code.NOT_FOUND, 'FILE_NOT_FOUND'],
    [Code.DEADLINE_EXCEEDED, 'COMMAND_TIMEOUT', {}, Code.DEADLINE_EXCEEDED, 'COMMAND_TIMEOUT'],
    [Code.DEADLINE_EXCEEDED, 'BOOT_TIMEOUT', {}, Code.DEADLINE_EXCEEDED, 'BOOT_TIMEOUT'],
    [Code.ABORTED, 'STALE_GENERATION', {}, Code.ABORTED, 'STALE_GENERATION'],
    [
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
      { state: 'PAUSED' },
      Code.FAILED_PRECONDITION,
      'SANDBOX_STATE',
    ],
    [Code.INTERNAL, 'PAUSE_FAILED', {}, Code.INTERNAL, 'PAUSE_FAILED'],
    [Code.INTERNAL, 'RESTORE_FAILED', {}, Code.INTERNAL, 'RESTORE_FAILED'],
    [Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', {}, Code.DATA_LOSS, 'SNAPSHOT_DAMAGED'],
    [
      Code.FAILED_PRECONDITION,
      'SNAPSHOT_INCOMPATIBLE',
      {},
      Code.FAILED_PRECONDITION,
      'SNAPSHOT_INCOMPATIBLE',
    ],
    [Code.NOT_FOUND, 'SNAPSHOT_NOT_FOUND', {}, Code.NOT_FOUND, 'SNAPSHOT_NOT_FOUND'],
    [Code.RESOURCE_EXHAUSTED, 'HOST_DISK_FULL', {}, Code.RESOURCE_EXHAUSTED, 'HOST_DISK_FULL'],
    [Code.RESOURCE_EXHAUSTED, 'DISK_FULL', {}, Code.RESOURCE_EXHAUSTED, 'DISK_FULL'],
    [Code.INTERNAL, 'INTERNAL', {}, Code.INTERNAL, 'INTERNAL'],
    [Code.INVALID_ARGUMENT, 'INVALID_REQUEST', {}, Code.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    [Code.UNKNOWN, 'UNSPECIFIED', {}, Code.INTERNAL, 'INTERNAL'],
  ];
  for (const [code, reason, metadata, publicCode, publicReason] of cases) {
    const detail = metadata.end_reason ?? metadata.state ?? '';
    it(`${Code[code]} ${reason} ${detail} is ${Code[publicCode]} ${publicReason} for a caller`, () => {
      const found = fromAgentError(new WrennError(code, reason, 'text', { metadata }));
      expect([Code[found.code], found.reason]).to.deep.equal([Code[publicCode], publicReason]);
    });
  }

  it('carry no word of the host or the guest to a caller', () => {
    for (const [code, reason, metadata] of cases) {
      const secret = 'words of the guest';
      const error = new WrennError(code, reason, secret, {
        metadata: { ...metadata, path: secret, failure: secret },
        violations: [{ field: secret, description: secret, rule: secret }],
      });
      const { message, metadata: shown, violations } = fromAgentError(error);
      expect(JSON.stringify({ message, shown, violations })).not.to.include(secret);
    }
  });

  it('name what is damaged, what does not fit and which step failed, in the forms of ours only', () => {
    const shownOf = (metadata: Record<string, string>) =>
      fromAgentError(new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', '', { metadata })).metadata;
    const known = {
      artifact: 'disks/x4k2/disk.qcow2',
      wanted: 'qemu 7.2.22 (Debian 1:7.2+dfsg-7)',
      present: 'qemu 8.0',
      step: 'wall_clock',
    };
    expect(shownOf(known)).to.deep.equal(known);
    for (const name of Object.keys(known)) {
      for (const text of ['', '<b>', 'words\nof the guest', '/etc/passwd', 'x'.repeat(300)]) {
        expect(shownOf({ [name]: text }), `${name} ${text}`).to.deep.equal({});
      }
    }
  });

  it('name each state in which a sandbox is known, and none for one that the agent does not name', () => {
    const shownOf = (metadata: Record<string, string>) =>
      fromAgentError(new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', '', { metadata }))
        .metadata;
    for (const state of ['STARTING', 'PAUSING', 'PAUSED', 'RESUMING']) {
      expect(shownOf({ state })).to.deep.equal({ state });
    }
    expect(shownOf({ state: 'STOPPING' })).to.deep.equal({ state: 'DELETING' });
    expect(shownOf({})).to.deep.equal({});
  });

  it('of one copy of a fork are told by their reason', () => {
    const { code, reason } = fromForkError('HOST_EXHAUSTED');
    expect([code, reason]).to.deep.equal([Code.RESOURCE_EXHAUSTED, 'HOST_EXHAUSTED']);
    expect(fromForkError('UNSPECIFIED').reason).to.equal('INTERNAL');
  });

  it('name the state and keep the time to wait', () => {
    const starting = new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', '', {
      metadata: { state: 'STARTING' },
    });
    expect(fromAgentError(starting).metadata.state).to.equal('STARTING');
    const full = new WrennError(Code.RESOURCE_EXHAUSTED, 'HOST_EXHAUSTED', '', {
      retryAfterSec: 7,
    });
    expect(fromAgentError(full).retryAfterSec).to.equal(7);
  });

  it('call a VMM that ended while it booted a failed boot', () => {
    const exited = new WrennError(Code.UNAVAILABLE, 'VMM_EXITED', '');
    expect(fromBootError(exited).reason).to.equal('VMM_FAILED');
  });

  it('are INTERNAL when they are no error of ours at all', () => {
    expect(fromAgentError(new TypeError('x')).reason).to.equal('INTERNAL');
    expect(fromAgentError(undefined).reason).to.equal('INTERNAL');
  });
});
