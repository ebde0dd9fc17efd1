import { expect } from 'chai';
import { Code, hasReason, type WrennError } from '../../lib/errors/index.js';
import { requireCompatible } from './compatibility.js';

describe('compatibility of a snapshot', () => {
  const machine = {
    driver: 'qemu',
    accelerator: 'tcg',
    vmmVersion: '7.2.0',
    cpuModel: 'EPYC',
    deviceLayout: '1',
  };

  it('is given where all is equal', () => {
    requireCompatible({ machine }, { ...machine });
  });

  it('is not where one property differs, which is named with both values', () => {
    for (const property of Object.keys(machine) as (keyof typeof machine)[]) {
      const present = { ...machine, [property]: 'other' };
      try {
        requireCompatible({ machine }, present);
        expect.fail('accepted');
      } catch (error) {
        expect(hasReason(error, 'SNAPSHOT_INCOMPATIBLE')).to.equal(true);
        expect((error as WrennError).code).to.equal(Code.FAILED_PRECONDITION);
        expect((error as WrennError).metadata).to.deep.equal({
          property,
          wanted: machine[property],
          present: 'other',
        });
      }
    }
  });
});
