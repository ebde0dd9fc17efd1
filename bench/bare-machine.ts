/**
 * The anchor for boot times: a microVM of the platform's images as one would
 * start it by hand. It shares the kernel's command line with the platform and
 * nothing else: no agent, no confinement, and the TAP is QEMU's own, on the
 * host itself, and goes with QEMU however that ends.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { GuestServiceService } from '../gen/ts/wrenn/envd/v1/guest.js';
import { packageRoot } from '../lib/files/package-root.js';
import { ENVD_PORT } from '../lib/guest/contract.js';
import { kernelArguments } from '../lib/images/kernel-arguments.js';
import { type ImageManifest, readManifest } from '../lib/images/manifest.js';
import { retry } from '../lib/lifecycle/delay.js';
import { run } from '../lib/process/run.js';
import { createClient } from '../lib/rpc/client.js';
import { BackgroundProcess } from './background-process.js';

const QEMU_PATH = '/usr/bin/qemu-system-x86_64';
const TSC_PROGRAM = join(packageRoot(), 'native', 'host', 'build', 'tsc-khz');

/** A link-local network that nothing else of the platform uses. */
const TAP_NAME = 'wrennbench0';
const HOST_ADDRESS = '169.254.213.1';
const GUEST_ADDRESS = '169.254.213.2';
const PREFIX_LENGTH = 30;
const GUEST_MAC = '02:57:72:62:00:01';

const BOOT_TIMEOUT_MS = 300_000;
const HEALTH_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 250;
const POLL_MS = 10;
const END_TIMEOUT_MS = 15_000;

export interface BareMachineOptions {
  /** Exists while the platform runs; the machine's files are in a folder below. */
  directory: string;
  imagesDirectory: string;
  accelerator: 'kvm' | 'tcg';
  template: string;
  vcpus: number;
  memoryMb: number;
}

export class BareMachine {
  readonly #options: BareMachineOptions;
  readonly #images: ImageManifest;
  readonly #tscKhz: number;

  private constructor(options: BareMachineOptions, images: ImageManifest, tscKhz: number) {
    this.#options = options;
    this.#images = images;
    this.#tscKhz = tscKhz;
  }

  static async prepare(options: BareMachineOptions): Promise<BareMachine> {
    const images = await readManifest(options.imagesDirectory);
    const { stdout } = await run(TSC_PROGRAM, []);
    return new BareMachine(options, images, Number(stdout));
  }

  /** Boots once and ends the machine. @returns milliseconds until envd has answered. */
  async boot(signal: AbortSignal): Promise<number> {
    const folder = join(this.#options.directory, 'bare-machine');
    await mkdir(folder);
    try {
      const script = await writeTapScript(folder);
      return await this.#bootIn(folder, script, signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #bootIn(folder: string, tapScript: string, signal: AbortSignal): Promise<number> {
    const disk = join(folder, 'overlay.qcow2');
    const startedAt = performance.now();
    const image = this.#images.templates[this.#options.template]?.path ?? '';
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', image, disk]);
    const command = this.#command(disk, tapScript);
    const qemu = new BackgroundProcess({ command, deathSignal: 'KILL' });
    try {
      await untilHealthy(qemu, signal);
      return performance.now() - startedAt;
    } finally {
      await qemu.end('SIGKILL', END_TIMEOUT_MS);
    }
  }

  #command(disk: string, tapScript: string): string[] {
    const { accelerator, vcpus, memoryMb } = this.#options;
    const { kernel, initrd, tools } = this.#images;
    const append = kernelArguments({
      tscKhz: this.#tscKhz,
      guestAddress: `${GUEST_ADDRESS}/${PREFIX_LENGTH}`,
      gatewayAddress: HOST_ADDRESS,
    });
    return [
      ...[QEMU_PATH, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ...['-machine', 'microvm,x-option-roms=off,rtc=on', '-serial', 'null'],
      ...(accelerator === 'kvm'
        ? ['-accel', 'kvm', '-cpu', 'host']
        : ['-accel', 'tcg,thread=multi', '-cpu', 'max']),
      ...['-smp', String(vcpus), '-m', `${memoryMb}M`],
      ...['-kernel', kernel.path, '-initrd', initrd.path, '-append', append],
      ...['-drive', `if=none,id=rootfs,format=qcow2,file=${disk}`],
      ...['-device', 'virtio-blk-device,drive=rootfs,serial=rootfs'],
      ...['-drive', `if=none,id=tools,format=raw,readonly=on,file=${tools.path}`],
      ...['-device', 'virtio-blk-device,drive=tools,serial=tools'],
      ...['-netdev', `tap,id=network,ifname=${TAP_NAME},script=${tapScript},downscript=no`],
      ...['-device', `virtio-net-device,netdev=network,mac=${GUEST_MAC}`],
      ...['-device', 'virtio-rng-device'],
    ];
  }
}

/** QEMU runs it with the TAP's name when it has made the TAP. */
async function writeTapScript(folder: string): Promise<string> {
  const path = join(folder, 'tap-up.sh');
  const lines = [
    '#!/bin/sh -e',
    `ip address add ${HOST_ADDRESS}/${PREFIX_LENGTH} dev "$1"`,
    'ip link set "$1" up',
  ];
  await writeFile(path, `${lines.join('\n')}\n`, { mode: 0o700 });
  return path;
}

/** @throws Error with QEMU's own words when it ends before the guest answers. */
async function untilHealthy(qemu: BackgroundProcess, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  void qemu.ended.then((how) => ended.abort(new Error(`QEMU ended (${how}): ${qemu.lastWords}`)));
  await retry(() => checkHealth(signal), {
    timeoutMs: BOOT_TIMEOUT_MS,
    pauseMs: POLL_MS,
    pauseMsMax: POLL_MS,
    signal: AbortSignal.any([signal, ended.signal]),
  });
}

async function checkHealth(signal: AbortSignal): Promise<void> {
  await connectOnce();
  const target = `${GUEST_ADDRESS}:${ENVD_PORT}`;
  const guest = createClient(GuestServiceService, target, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
    // A new connection each time, never one that has been given up on.
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    await guest.getHealth({}, { timeoutMs: HEALTH_TIMEOUT_MS, signal });
  } finally {
    guest.close();
  }
}

/** A first packet that is lost must not cost the second after which TCP sends it again. */
function connectOnce(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: GUEST_ADDRESS, port: ENVD_PORT });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
