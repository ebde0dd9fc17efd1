import { expect } from 'chai';
import type { MachineSpec } from '../driver.js';
import { type CommandLineOptions, commandLine, machineNameIn } from './command-line.js';

const SPEC: MachineSpec = {
  sandboxId: 'sandbox1',
  vcpus: 2,
  memoryMb: 512,
  runDirectory: '/run/wrenn/sandboxes/sandbox1',
  rootfs: { path: '/state/disks/layer1/disk.qcow2', format: 'qcow2', layerFolders: [] },
  kernel: { path: '/images/vmlinux', initrdPath: '/images/initrd' },
  toolsPath: '/images/tools.squashfs',
  network: {
    namespace: 'wrenn-abcde-1',
    tapName: 'tap0',
    guestMac: '02:00:00:00:00:01',
    guestAddress: '169.254.0.21/30',
    gatewayAddress: '169.254.0.22',
    guestIp: '10.192.0.3',
  },
  uid: 70_001,
};

const OPTIONS: CommandLineOptions = {
  instanceId: 'abcde',
  accelerator: 'tcg',
  qemuPath: '/usr/bin/qemu-system-x86_64',
  qmpSocketPath: '/run/wrenn/sandboxes/sandbox1/qmp.sock',
  start: { kind: 'boot', kernelArguments: 'console=ttyS0 panic=-1' },
};

describe('QEMU command line', () => {
  it('is the whole of it for an emulated machine', () => {
    expect(commandLine(SPEC, OPTIONS)).to.deep.equal([
      '/usr/bin/qemu-system-x86_64',
      '-name',
      'guest=wrenn-abcde-sandbox1',
      '-nodefaults',
      '-no-user-config',
      '-display',
      'none',
      '-sandbox',
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
      '-machine',
      'microvm,x-option-roms=off,rtc=on,memory-backend=memory,dump-guest-core=off,mem-merge=off',
      '-object',
      'memory-backend-memfd,id=memory,size=512M,share=on',
      '-m',
      '512M',
      '-smp',
      '2',
      '-accel',
      'tcg,thread=multi,tb-size=128',
      '-cpu',
      'max',
      '-kernel',
      '/images/vmlinux',
      '-initrd',
      '/images/initrd',
      '-append',
      'console=ttyS0 panic=-1',
      '-no-reboot',
      '-blockdev',
      '{"driver":"qcow2","node-name":"rootfs","discard":"unmap","file":{"driver":"file","filename":"/state/disks/layer1/disk.qcow2","discard":"unmap"}}',
      '-device',
      'virtio-blk-device,id=disk,drive=rootfs,serial=rootfs,werror=enospc',
      '-blockdev',
      '{"driver":"raw","node-name":"tools","read-only":true,"file":{"driver":"file","filename":"/images/tools.squashfs","read-only":true}}',
      '-device',
      'virtio-blk-device,drive=tools,serial=tools',
      '-netdev',
      'tap,id=network,ifname=tap0,script=no,downscript=no',
      '-device',
      'virtio-net-device,netdev=network,mac=02:00:00:00:00:01',
      '-object',
      'rng-random,id=entropy,filename=/dev/urandom',
      '-device',
      'virtio-rng-device,rng=entropy,max-bytes=65536,period=1000',
      '-chardev',
      'ringbuf,id=console,size=65536',
      '-serial',
      'chardev:console',
      '-qmp',
      'unix:/run/wrenn/sandboxes/sandbox1/qmp.sock,server=on,wait=off',
    ]);
  });

  it('takes the host’s CPU with KVM', () => {
    const words = commandLine(SPEC, { ...OPTIONS, accelerator: 'kvm' }).join(' ');

    expect(words).to.include(' -accel kvm -cpu host ').and.not.include('tcg');
  });

  it('has the same devices when it waits for another machine’s state, and no kernel', () => {
    const boot = commandLine(SPEC, OPTIONS);
    const restore = commandLine(SPEC, { ...OPTIONS, start: { kind: 'restore' } });

    const own = (words: string[], others: string[]) =>
      words.filter((word) => !others.includes(word));
    expect(own(restore, boot)).to.deep.equal(['-S', '-incoming', 'defer']);
    expect(own(boot, restore)).to.deep.equal([
      '-kernel',
      '/images/vmlinux',
      '-initrd',
      '/images/initrd',
      '-append',
      'console=ttyS0 panic=-1',
    ]);
  });

  it('keeps paths with commas and quotes what they are', () => {
    const path = '/state/a,b"c/overlay.qcow2';
    const words = commandLine(
      { ...SPEC, rootfs: { ...SPEC.rootfs, path } },
      { ...OPTIONS, qmpSocketPath: '/run/a,server=off/qmp.sock' },
    );

    expect(words).to.include('unix:/run/a,,server=off/qmp.sock,server=on,wait=off');
    const disk = words[words.indexOf('-blockdev') + 1] ?? '';
    expect((JSON.parse(disk) as { file: { filename: string } }).file.filename).to.equal(path);
  });

  it('names the machine such that its own instance finds it, and no other', () => {
    const words = ['setpriv', '--', ...commandLine(SPEC, OPTIONS)];

    expect(machineNameIn(words, 'abcde')).to.equal('sandbox1');
    expect(machineNameIn(words, 'abcd')).to.equal(undefined);
    expect(machineNameIn(words, 'abcdef')).to.equal(undefined);
    expect(machineNameIn(['grep', 'guest=wrenn-abcde-sandbox1'], 'abcde')).to.equal(undefined);
    expect(machineNameIn([], 'abcde')).to.equal(undefined);
  });
});
