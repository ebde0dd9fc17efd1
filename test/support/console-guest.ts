/**
 * Boots a guest on a root disk and a tools drive of the test's own, without network or agent, and
 * collects what it prints on its console until it ends itself.
 */
import { spawn } from 'node:child_process';
import { readTscKhz } from '../../agent/vmm/tsc.js';
import { kernelArguments } from '../../lib/images/kernel-arguments.js';
import { readManifest } from '../../lib/images/manifest.js';

/** Two processors may be shared by many emulated guests. */
const GUEST_TIMEOUT_MS = 4 * 60_000;
const MEMORY_MB = 256;

export interface ConsoleGuest {
  imagesDirectory: string;
  /** Takes the measured rate of the host's counter. */
  stateDirectory: string;
  /** Raw images by the serial that the guest's init looks for. */
  drives: Readonly<Record<string, string>>;
}

/** @returns the lines that the guest printed. */
export async function runToEnd(guest: ConsoleGuest): Promise<string[]> {
  const { kernel, initrd } = await readManifest(guest.imagesDirectory);
  const append = kernelArguments({
    tscKhz: await readTscKhz(guest.stateDirectory),
    guestAddress: '169.254.0.21/30',
    gatewayAddress: '169.254.0.22',
  });
  const args = [
    ...['-M', 'microvm,x-option-roms=off,rtc=on', '-cpu', 'max', '-accel', 'tcg,thread=multi'],
    ...['-m', String(MEMORY_MB), '-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-display', 'none', '-serial', 'stdio'],
    ...['-kernel', kernel.path, '-initrd', initrd.path, '-append', append],
    // A network device that leads nowhere.
    ...['-netdev', 'hubport,id=network,hubid=0', '-device', 'virtio-net-device,netdev=network'],
    ...Object.entries(guest.drives).flatMap(([serial, path]) => [
      ...['-drive', `id=${serial},file=${path},format=raw,if=none,snapshot=on`],
      ...['-device', `virtio-blk-device,drive=${serial},serial=${serial}`],
    ]),
  ];
  return (await collectOutput('qemu-system-x86_64', args)).split(/\r?\n/);
}

function collectOutput(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: GUEST_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const add = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0) resolve(output);
      else reject(new Error(`the guest did not end by itself (${signal ?? exitCode}):\n${output}`));
    });
  });
}
