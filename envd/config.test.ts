import { expect } from 'chai';
import { readConfig } from './config.js';

describe('readConfig', () => {
  it('has the settings of a sandbox without arguments', () => {
    expect(readConfig([])).to.deep.equal({
      host: '0.0.0.0',
      port: 49983,
      runDirectory: '/run/wrenn',
      busyboxPath: '/wrenn/bin/busybox',
      helperPath: '/wrenn/bin/wrenn-guest',
      hostnamePath: '/proc/sys/kernel/hostname',
      machineIdPath: '/etc/machine-id',
      dbusMachineIdPath: '/var/lib/dbus/machine-id',
    });
  });

  it('takes settings as arguments', () => {
    const config = readConfig(['--host=127.0.0.1', '--port=0', '--run-directory=/tmp/a=b']);

    expect(config).to.include({ host: '127.0.0.1', port: 0, runDirectory: '/tmp/a=b' });
  });

  for (const argument of ['--unknown=1', 'port=1', '--port', '--port=x', '--port=65536']) {
    it(`refuses ${argument}`, () => {
      expect(() => readConfig([argument])).to.throw();
    });
  }
});
