import { expect } from 'chai';
import { formatIpv4, formatRange, parseIpv4, parseRange, rangesOverlap, sizeOf } from './ipv4.js';

describe('IPv4 ranges', () => {
  it('reads addresses and writes them back, above the sign bit too', () => {
    for (const text of ['0.0.0.0', '10.192.0.1', '128.0.0.1', '255.255.255.255']) {
      expect(formatIpv4(parseIpv4(text) ?? -1)).to.equal(text);
    }
  });

  it('takes nothing else for an address or a range', () => {
    for (const text of ['', '10.0.0', '256.0.0.1', '::1', '0x7f.1', '10.0.0.1 ']) {
      expect(parseIpv4(text), text).to.equal(undefined);
    }
    for (const text of ['10.0.0.0/33', '10.0.0.1/24', '10.0.0.0/', '10.0.0.0/8/8', '/8', 'a/8']) {
      expect(parseRange(text), text).to.equal(undefined);
    }
  });

  it('reads a single address as a range of one', () => {
    const range = parseRange('192.0.2.7');
    expect(range && formatRange(range)).to.equal('192.0.2.7/32');
    expect(range && sizeOf(range)).to.equal(1);
  });

  it('tells ranges that share an address from neighbours', () => {
    const overlap = (a: string, b: string) => {
      const [first, second] = [parseRange(a), parseRange(b)];
      if (!first || !second) throw new Error('not a range');
      return rangesOverlap(first, second) && rangesOverlap(second, first);
    };
    expect(overlap('10.0.0.0/8', '10.200.0.0/18')).to.equal(true);
    expect(overlap('10.0.0.0/24', '10.0.0.255')).to.equal(true);
    expect(overlap('10.0.0.0/24', '10.0.1.0/24')).to.equal(false);
    expect(overlap('0.0.0.0/0', '255.255.255.255')).to.equal(true);
  });
});
