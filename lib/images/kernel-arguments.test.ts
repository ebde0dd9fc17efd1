import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../files/package-root.js';
import {
  GATEWAY_ADDRESS_ARGUMENT,
  GUEST_ADDRESS_ARGUMENT,
  kernelArguments,
} from './kernel-arguments.js';

/** The kernel cuts a longer command line off without a word. */
const COMMAND_LINE_BYTES_MAX = 2048;

describe('kernel arguments', () => {
  const words = kernelArguments({
    tscKhz: 2_596_151,
    guestAddress: '169.254.0.21/30',
    gatewayAddress: '169.254.0.22',
  }).split(' ');

  it('carry the measured rate and both addresses', () => {
    expect(words).to.include.members([
      'tsc_early_khz=2596151',
      'wrenn.ip=169.254.0.21/30',
      'wrenn.gateway=169.254.0.22',
    ]);
  });

  it('name no argument twice and fit into the kernel', () => {
    const names = words.map((word) => word.split('=')[0]);
    expect(new Set(names).size).to.equal(names.length);
    expect(words.join(' ').length).to.be.below(COMMAND_LINE_BYTES_MAX);
  });

  it('use the words that wrenn-init.sh reads', async () => {
    const init = await readFile(join(packageRoot(), 'images/wrenn-init.sh'), 'utf8');
    expect(init).to.include(`${GUEST_ADDRESS_ARGUMENT}=*)`);
    expect(init).to.include(`${GATEWAY_ADDRESS_ARGUMENT}=*)`);
  });
});
