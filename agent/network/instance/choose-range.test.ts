import { expect } from 'chai';
import { hasReason } from '../../../lib/errors/index.js';
import { formatRange, parseRange } from '../ipv4.js';
import { checkRange, chooseRange } from './choose-range.js';
import type { UsedRange } from './host-routes.js';

const used = (...texts: string[]): UsedRange[] =>
  texts.map((text) => {
    const range = parseRange(text);
    if (!range) throw new Error(`not a range: ${text}`);
    return { range, device: 'eth0', description: `the route ${text} dev eth0` };
  });

const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (hasReason(error, 'HOST_REQUIREMENT')) return error.message;
    throw error;
  }
  throw new Error('was not refused');
};

describe('choosing the network range', () => {
  it('is the same for the same instance and differs between instances', () => {
    const choose = (id: string) => formatRange(chooseRange(id, []));
    expect(choose('aaaa1')).to.equal(choose('aaaa1'));
    const ids = Array.from({ length: 50 }, (_, index) => `id${index + 100}`);
    expect(new Set(ids.map(choose)).size).to.be.greaterThan(30);
  });

  it('takes the next free range when the first is in use, whoever uses it', () => {
    const first = chooseRange('aaaa1', []);
    const second = chooseRange('aaaa1', used(formatRange(first)));
    const third = chooseRange('aaaa1', used(formatRange(first), formatRange(second)));
    expect(new Set([first.base, second.base, third.base]).size).to.equal(3);
    expect(third.base >>> 22).to.equal(0b0000101011);
  });

  it('finds the one range that is left', () => {
    const all = Array.from({ length: 256 }, (_, step) => {
      const third = (step % 4) * 64;
      return `10.${192 + Math.floor(step / 4)}.${third}.0/18`;
    });
    const left = '10.231.128.0/18';
    expect(
      formatRange(chooseRange('aaaa1', used(...all.filter((text) => text !== left)))),
    ).to.equal(left);
  });

  it('says so when the host’s routes cover everything', () => {
    expect(refusal(() => chooseRange('aaaa1', used('10.0.0.0/8')))).to.contain(
      'WRENN_NETWORK_CIDR',
    );
  });

  it('takes a range that is set and free', () => {
    expect(checkRange('10.9.0.0/28', used('10.8.0.0/16', '10.9.0.16/28'))).to.deep.equal(
      parseRange('10.9.0.0/28'),
    );
  });

  it('names the route that a set range overlaps', () => {
    const message = refusal(() => checkRange('10.9.0.0/24', used('10.8.0.0/16', '10.9.0.128/25')));
    expect(message).to.contain('10.9.0.128/25 dev eth0');
  });

  it('refuses what is no range, too small, too large or means something else', () => {
    const bad = ['x', '10.0.0.1/24', '10.0.0.0/29', '10.0.0.0/7', 'fd00::/64', '127.0.0.0/16'];
    for (const text of [...bad, '224.0.0.0/8', '169.254.0.0/16', '0.0.0.0/8']) {
      expect(
        refusal(() => checkRange(text, [])),
        text,
      ).to.contain(text);
    }
  });
});
