import { expect } from 'chai';
import { parseMappings } from './memory-location.js';

describe('memory maps of a process', () => {
  it('are read with addresses as large as they are, and paths with blanks', () => {
    const text = [
      '7f7bdffff000-7f7beffff000 rw-p 00001000 fe:00 9978235                    /a/memory of x',
      'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]',
      '7f7bf0000000-7f7bf0021000 rw-p 00000000 00:00 0 ',
      'VmFlags: rd wr',
      '',
    ].join('\n');

    expect(parseMappings(text)).to.deep.equal([
      {
        start: 0x7f7bdffff000n,
        end: 0x7f7beffff000n,
        permissions: 'rw-p',
        offset: 0x1000n,
        file: 'fe:00 9978235',
        path: '/a/memory of x',
      },
      {
        start: 0xffffffffff600000n,
        end: 0xffffffffff601000n,
        permissions: '--xp',
        offset: 0n,
        file: '00:00 0',
        path: '[vsyscall]',
      },
      {
        start: 0x7f7bf0000000n,
        end: 0x7f7bf0021000n,
        permissions: 'rw-p',
        offset: 0n,
        file: '00:00 0',
        path: '',
      },
    ]);
  });
});
