import { expect } from 'chai';
import { Code, hasReason, WrennError } from '../lib/errors/index.js';
import { explain, runStep } from './failure.js';

describe('failure of a build step', () => {
  it('is a missing requirement when there is no such program', async () => {
    const outcome = await failureOf('no-such-program-anywhere', []);
    expect(hasReason(outcome, 'HOST_REQUIREMENT')).to.equal(true);
  });

  it('is a missing requirement when the program fails', async () => {
    expect(hasReason(await failureOf('false', []), 'HOST_REQUIREMENT')).to.equal(true);
  });

  it('is a full disk when the program says so', async () => {
    const script = 'echo "write failed: No space left on device" >&2; exit 1';
    expect(hasReason(await failureOf('sh', ['-c', script]), 'HOST_DISK_FULL')).to.equal(true);
  });

  it('is a full disk when a write of our own says so', () => {
    const error = Object.assign(new Error('write'), { code: 'ENOSPC' });
    expect(explain('testing', error).reason).to.equal('HOST_DISK_FULL');
  });

  it('stays what it is when it has been explained already', () => {
    const error = new WrennError(Code.NOT_FOUND, 'FILE_NOT_FOUND', 'gone');
    expect(explain('testing', error)).to.equal(error);
  });
});

function failureOf(command: string, args: string[]): Promise<unknown> {
  return runStep('testing', command, args).catch((error: unknown) => error);
}
