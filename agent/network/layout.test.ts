import { expect } from 'chai';
import fc from 'fast-check';
import { type Ipv4Range, parseIpv4, parseRange } from './ipv4.js';
import { InstanceLayout } from './layout.js';

const range = (text: string): Ipv4Range => {
  const parsed = parseRange(text);
  if (!parsed) throw new Error(`not a range: ${text}`);
  return parsed;
};

describe('InstanceLayout', () => {
  const layout = new InstanceLayout('ab12x', range('10.200.0.0/18'));

  it('derives names and addresses of a slot from its number', () => {
    expect(layout.slotAt(3, 'lease')).to.deep.equal({
      index: 3,
      lease: 'lease',
      namespace: 'wrenn-ab12x-3',
      vethName: 'wv-ab12x-3',
      tapName: 'tap0',
      hostIp: '10.200.0.6',
      guestIp: '10.200.0.7',
      guestMac: '02:57:52:4e:00:21',
      guestAddress: '169.254.0.21/30',
      gatewayAddress: '169.254.0.22',
      uid: 1_073_741_824 + 0xc80007,
    });
  });

  it('keeps the whole range in use and every name within the kernel’s limits', () => {
    for (const [text, slots] of [
      ['10.0.0.0/28', 7],
      ['10.200.0.0/18', 8191],
      ['10.0.0.0/8', 99_999],
    ] as const) {
      const wide = new InstanceLayout('abcdef', range(text));
      expect(wide.slotCount, text).to.equal(slots);
      expect(wide.slotAt(slots).vethName.length).to.be.at.most(15);
      expect(wide.bridgeName.length).to.be.at.most(15);
    }
  });

  it('gives no two slots an address or a user, and none the forwarder’s', () => {
    const seen = new Set<string | number>([layout.forwarderAddress]);
    for (let index = 1; index <= layout.slotCount; index += 1) {
      const { hostIp, guestIp, uid } = layout.slotAt(index);
      for (const value of [hostIp, guestIp, uid]) {
        expect(seen.has(value), `${index}: ${value}`).to.equal(false);
        seen.add(value);
      }
      expect((parseIpv4(guestIp) ?? 0) % 2, 'odd end of the pair').to.equal(1);
    }
  });

  it('finds the slot of its own names and of no others', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99_999 }), (index) => {
        const slot = layout.slotAt(index);
        expect(layout.indexOf(slot.namespace)).to.equal(index);
        expect(layout.indexOf(slot.vethName)).to.equal(index);
      }),
    );
    const foreign = ['wrenn-ab12-1', 'wrenn-ab12x', 'wrenn-ab12x-', 'wrenn-ab12x-0', 'wb-ab12x'];
    for (const name of [...foreign, 'wv-ab12xy-1', 'wv-ab12x-1a', 'wv-ab12x-01', 'eth0']) {
      expect(layout.indexOf(name), name).to.equal(undefined);
    }
  });

  it('refuses ids that do not fit into names or rules', () => {
    for (const id of ['', 'abc', 'abcdefg', 'AB12', 'a-b-c', 'ab"1', 'ab\n12']) {
      expect(() => new InstanceLayout(id, range('10.0.0.0/24')), id).to.throw();
    }
  });
});
