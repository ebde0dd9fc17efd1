import { expect } from 'chai';
import { type Confinement, confinedCommand, viewSteps } from './confinement.js';

const CONFINEMENT: Confinement = {
  uid: 70_001,
  namespace: 'wrenn-abcde-1',
  cgroups: ['/cgroup/memory/a', '/cgroup/pids/a'],
  devices: ['tun'],
  hiddenFolders: ['/var/lib/wrenn', '/run/wrenn'],
  shownFolders: [
    { path: '/var/lib/wrenn/images', writable: false },
    { path: '/run/wrenn/sandboxes/a', writable: true },
  ],
  fileBytesMax: 4096,
};

describe('confinement', () => {
  it('ends with the program and its arguments as they are', () => {
    const program = ['/usr/bin/vmm', '--', '$(reboot)', 'a b', ''];

    expect(confinedCommand(CONFINEMENT, program).slice(-program.length)).to.deep.equal(program);
  });

  it('enters cgroups, namespaces and view before it gives its rights away', () => {
    const command = confinedCommand(CONFINEMENT, ['/usr/bin/vmm']);
    const steps = ['enter-cgroups.sh', 'unshare', 'ip', 'private-view.sh', 'prlimit', 'setpriv'];

    const positions = steps.map((step) => command.findIndex((word) => word.endsWith(step)));

    expect(positions).not.to.include(-1);
    expect(positions).to.deep.equal([...positions].sort((a, b) => a - b));
  });

  it('takes user, groups, capabilities and limits away', () => {
    expect(confinedCommand(CONFINEMENT, ['/usr/bin/vmm'])).to.include.members([
      '--reuid=70001',
      '--regid=70001',
      '--clear-groups',
      '--no-new-privs',
      '--inh-caps=-all',
      '--ambient-caps=-all',
      '--bounding-set=-all',
      '--core=0:0',
      '--fsize=4096:4096',
    ]);
  });

  it('gives the machine its devices and no others', () => {
    const devices = (confinement: Confinement) =>
      viewSteps(confinement).flatMap((word, index, words) =>
        word === 'device' ? [`${words[index + 1]} ${words[index + 5]}`] : [],
      );
    const common = ['null 0', 'zero 0', 'random 0', 'urandom 0'];

    expect(devices(CONFINEMENT)).to.deep.equal([...common, 'net/tun 70001']);
    expect(devices({ ...CONFINEMENT, devices: ['tun', 'kvm'] })).to.deep.equal([
      ...common,
      'net/tun 70001',
      'kvm 70001',
    ]);
  });

  it('covers folders that anybody may write, and the platform’s, but for what is shown', () => {
    const steps = viewSteps(CONFINEMENT);

    expect(steps.slice(steps.indexOf('/dev') + 1).join(' ')).to.equal(
      [
        'begin show rw /run/wrenn/sandboxes/a wrenn/sandboxes/a cover /run',
        'begin cover /tmp',
        'begin cover /var/tmp',
        'begin cover /root',
        'begin cover /home',
        'begin show ro /var/lib/wrenn/images images cover /var/lib/wrenn',
      ].join(' '),
    );
  });

  it('covers a folder once when it lies in another that is covered', () => {
    const steps = viewSteps({
      ...CONFINEMENT,
      hiddenFolders: ['/tmp/a/state', '/tmp/a', '/tmpfiles'],
      shownFolders: [],
    });
    const covered = steps.flatMap((word, index) => (word === 'cover' ? [steps[index + 1]] : []));

    expect(covered).to.deep.equal([
      '/dev',
      '/run',
      '/tmp',
      '/var/tmp',
      '/root',
      '/home',
      '/tmpfiles',
    ]);
  });
});
