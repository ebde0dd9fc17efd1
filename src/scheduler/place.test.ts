import { expect } from 'chai';
import { place } from './place.js';

describe('place', () => {
  const host = {
    hostId: 'host1',
    driver: 'fake',
    accelerator: 'none',
    templates: ['minimal', 'python'],
    runId: 'run1',
    memoryMbTotal: 4096,
    memoryMbUsed: 3072,
  };

  it('chooses the host when template and memory are there', () => {
    expect(place({ template: 'python', memoryMb: 1024 }, host)).to.equal('host1');
  });

  it('refuses a template that the host cannot start', () => {
    expect(() => place({ template: 'other', memoryMb: 128 }, host))
      .to.throw()
      .with.property('reason', 'TEMPLATE_NOT_FOUND');
  });

  it('places what starts from a snapshot on the host that has it, and nowhere else', () => {
    const wish = { template: 'own', memoryMb: 128 };
    expect(place({ ...wish, snapshotHostId: 'host1' }, host)).to.equal('host1');
    expect(() => place({ ...wish, snapshotHostId: 'host2' }, host))
      .to.throw()
      .with.property('reason', 'HOST_UNAVAILABLE');
  });

  it('asks to try again when others have the memory, and not when it is larger than the host', () => {
    const refuse = (memoryMb: number) => {
      try {
        place({ template: 'minimal', memoryMb }, host);
      } catch (error) {
        return error as { reason: string; retryAfterSec: number | undefined };
      }
      return undefined;
    };
    expect(refuse(1025)).to.include({ reason: 'HOST_EXHAUSTED', retryAfterSec: 10 });
    expect(refuse(4097)).to.include({ reason: 'HOST_EXHAUSTED', retryAfterSec: undefined });
  });
});
