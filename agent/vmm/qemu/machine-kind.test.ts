import { expect } from 'chai';
import { hostCpuModel } from './machine-kind.js';

const CPUINFO = `processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 106
model name	: Some Processor @ 2.90GHz
stepping	: 6
cpu MHz		: 2899.998
flags		: fpu vme avx2

processor	: 1
vendor_id	: GenuineIntel
flags		: fpu vme
`;

describe('kind of a QEMU machine', () => {
  it('names the host’s processor by what a guest sees of it', () => {
    const name = hostCpuModel(CPUINFO);

    expect(name).to.match(/^host-GenuineIntel-6-106-6-[0-9a-f]{16}$/);
    expect(hostCpuModel(CPUINFO.replace('2899.998', '1200.000'))).to.equal(name);
    expect(hostCpuModel(CPUINFO.replace('fpu vme avx2', 'avx2 fpu vme'))).to.equal(name);
  });

  it('tells processors apart that differ in a feature or a stepping', () => {
    const name = hostCpuModel(CPUINFO);

    expect(hostCpuModel(CPUINFO.replace(' avx2', ''))).not.to.equal(name);
    expect(hostCpuModel(CPUINFO.replace('stepping	: 6', 'stepping	: 7'))).not.to.equal(name);
    expect(() => hostCpuModel('Hardware : other\n')).to.throw(Error);
  });
});
