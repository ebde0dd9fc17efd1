import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DoctorReport } from '../../lib/doctor/report.js';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { readPlatformConfig } from '../config.js';
import { claimPlatform } from '../up/exclusive.js';
import { formatReport } from './doctor.js';
import { checkPlatform } from './platform-checks.js';

const REPORT: DoctorReport = {
  driver: { name: 'qemu', accelerator: 'tcg', reason: 'KVM is not usable' },
  checks: [{ name: 'user', status: 'ok', found: 'root' }],
};

describe('wrenn doctor', () => {
  it('says which driver is used and why, and that the machine is ready', () => {
    const text = formatReport(REPORT).join('\n');
    expect(text).to.include('qemu with tcg').and.include('KVM is not usable');
    expect(text).to.include('runs sandboxes');
  });

  it('says what to do about what is missing', () => {
    const advice = 'Load the module.';
    const missing = {
      name: '/dev/net/tun',
      status: 'missing',
      found: 'not there',
      advice,
    } as const;
    const text = formatReport({ ...REPORT, checks: [missing] }).join('\n');
    expect(text).to.include('✖   /dev/net/tun').and.include(advice);
    expect(text).to.include('does not run sandboxes');
  });

  it('finds an address that is in use, and none when Wrenn itself has them', async () => {
    await using directory = await temporaryDirectory();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const config = readPlatformConfig({
      WRENN_STATE_DIR: join(directory.path, 'state'),
      WRENN_RUN_DIR: join(directory.path, 'run'),
      WRENN_HTTP_ADDRESS: `127.0.0.1:${port}`,
      WRENN_GRPC_ADDRESS: '127.0.0.1:0',
    });
    const missing = async () =>
      (await checkPlatform(config)).filter(({ status }) => status === 'missing');

    expect((await missing()).map(({ name }) => name)).to.deep.equal(['HTTP address']);
    const claim = await claimPlatform(config);
    expect(await missing()).to.deep.equal([]);
    await claim?.undo();
    server.close();
  });
});
