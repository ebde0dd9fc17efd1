/**
 * The anchor for restores: a machine brought back by hand, by bare QEMU and QMP
 * alone, from the files that the platform has made. The devices are the
 * platform's, since the state fits no others. Nothing of the agent is used: no
 * confinement, no ledger, no preloaded library; QEMU maps the memory file itself.
 */

import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { packageRoot } from '../lib/files/package-root.js';
import { retry } from '../lib/lifecycle/delay.js';
import { run } from '../lib/process/run.js';
import { BackgroundProcess } from './background-process.js';
import type { GenerationFiles } from './generation-files.js';
import { Guest } from './guest.js';
import { GUEST_MAC } from './guest-link.js';
import { Qmp } from './qmp.js';

const MIB = 1024 * 1024;
const QEMU_PATH = '/usr/bin/qemu-system-x86_64';
const TRANSLATION_BUFFER_MB = 128;
const END_TIMEOUT_MS = 15_000;
/** The state is loaded within a few of these. */
const POLL = { timeoutMs: 30_000, pauseMs: 1, pauseMsMax: 1 };

export interface BareRestoreOptions {
  /** The files of the machine are in a folder below. */
  directory: string;
  files: GenerationFiles;
  accelerator: 'kvm' | 'tcg';
  tapName: string;
  /**
   * A copy of the memory that the machine writes to. Without one it has a private map of the
   * original, which QEMU would write out with the device state.
   */
  memoryCopyPath?: string;
  /** Takes its memory from a page server on this socket, by the platform's library. */
  pagesSocketPath?: string;
  /** Is called when the machine waits for its device state. */
  onStarted?: (machine: BareMachineRestored) => Promise<void>;
}

/** Milliseconds since the beginning. */
export interface RestoreMarks {
  qmp: number;
  loaded: number;
  restored: number;
}

export class BareMachineRestored implements AsyncDisposable {
  readonly qmp: Qmp;
  readonly guest = new Guest();
  readonly #qemu: BackgroundProcess;
  readonly #folder: string;

  constructor(qmp: Qmp, qemu: BackgroundProcess, folder: string) {
    this.qmp = qmp;
    this.#qemu = qemu;
    this.#folder = folder;
  }

  get pid(): number {
    return this.#qemu.pid;
  }

  /** Ends the machine and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.guest[Symbol.dispose]();
    this.qmp[Symbol.dispose]();
    await this.#qemu.end('SIGKILL', END_TIMEOUT_MS);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A machine whose guest takes commands. */
export async function restoreByHand(
  options: BareRestoreOptions,
  signal: AbortSignal,
): Promise<{ machine: BareMachineRestored; marks: RestoreMarks }> {
  const { files } = options;
  const startedAt = performance.now();
  const since = () => performance.now() - startedAt;
  const machine = await startByHand(options, signal);
  try {
    const qmp = since();
    await options.onStarted?.(machine);
    await loadState(machine.qmp, join(options.directory, 'state.sock'), files.statePath, signal);
    const loaded = since();
    await machine.qmp.execute('cont');
    await machine.guest.makeNew(files.token, signal);
    return { machine, marks: { qmp, loaded, restored: since() } };
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
}

/** A VMM that waits for device state; its guest has never run. */
export async function startByHand(
  options: BareRestoreOptions,
  signal: AbortSignal,
): Promise<BareMachineRestored> {
  const { directory, files } = options;
  await mkdir(directory, { recursive: true });
  const disk = join(directory, 'disk.qcow2');
  await makeOverlay(disk, files);
  const qmpPath = join(directory, 'qmp.sock');
  const command = [...withServedMemory(options), ...commandLine(options, disk, qmpPath)];
  const qemu = new BackgroundProcess({ command, deathSignal: 'KILL' });
  const ended = new AbortController();
  void qemu.ended.then((how) => ended.abort(new Error(`QEMU ended (${how}): ${qemu.lastWords}`)));
  try {
    const qmp = await Qmp.open(qmpPath, AbortSignal.any([signal, ended.signal]));
    return new BareMachineRestored(qmp, qemu, directory);
  } catch (error) {
    await qemu.end('SIGKILL', END_TIMEOUT_MS);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function makeOverlay(path: string, { disk }: GenerationFiles): Promise<void> {
  const { topPath, imagePath } = disk;
  const format = topPath === imagePath ? 'raw' : 'qcow2';
  const { size } = await stat(imagePath);
  const below = ['-F', format, '-b', topPath];
  await run('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...below, path, String(size)]);
}

/** Tells QEMU's environment of the library that stands in for the mapping of memory. */
function withServedMemory({ files, pagesSocketPath }: BareRestoreOptions): string[] {
  if (!pagesSocketPath) return [];
  const library = join(packageRoot(), 'native', 'preload', 'build', 'wrenn-memory.so');
  return [
    ...['env', `LD_PRELOAD=${library}`, 'WRENN_MEMORY_MODE=pages'],
    ...[`WRENN_MEMORY_BYTES=${files.memoryMb * MIB}`, `WRENN_MEMORY_SOCKET=${pagesSocketPath}`],
  ];
}

/** The backend of the guest's memory. */
function memoryBackend({ files, memoryCopyPath, pagesSocketPath }: BareRestoreOptions): string {
  const { memoryMb, memoryPaths } = files;
  const common = `id=memory,size=${memoryMb}M`;
  if (pagesSocketPath) return `memory-backend-memfd,${common},share=on`;
  const [memoryPath = '', ...others] = memoryPaths;
  if (others.length > 0) throw new Error('a memory of several files cannot be mapped by QEMU');
  return memoryCopyPath
    ? `memory-backend-file,${common},mem-path=${memoryCopyPath},share=on`
    : `memory-backend-file,${common},mem-path=${memoryPath},share=off`;
}

/** The same devices in the same order as the platform's machines. */
function commandLine(options: BareRestoreOptions, disk: string, qmpPath: string): string[] {
  const { files, accelerator, tapName } = options;
  const { vcpus, memoryMb } = files;
  const rootfs = { driver: 'qcow2', 'node-name': 'rootfs', discard: 'unmap' };
  const rootfsFile = { driver: 'file', filename: disk, discard: 'unmap' };
  const tools = { driver: 'raw', 'node-name': 'tools', 'read-only': true };
  const toolsFile = { driver: 'file', filename: files.disk.toolsPath, 'read-only': true };
  return [
    ...[QEMU_PATH, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-machine', 'microvm,x-option-roms=off,rtc=on,memory-backend=memory'],
    ...['-object', memoryBackend(options)],
    ...['-m', `${memoryMb}M`, '-smp', String(vcpus)],
    ...(accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', `tcg,thread=multi,tb-size=${TRANSLATION_BUFFER_MB}`, '-cpu', 'max']),
    ...['-S', '-incoming', 'defer'],
    ...['-blockdev', JSON.stringify({ ...rootfs, file: rootfsFile })],
    ...['-device', 'virtio-blk-device,id=disk,drive=rootfs,serial=rootfs'],
    ...['-blockdev', JSON.stringify({ ...tools, file: toolsFile })],
    ...['-device', 'virtio-blk-device,drive=tools,serial=tools'],
    ...['-netdev', `tap,id=network,ifname=${tapName},script=no,downscript=no`],
    ...['-device', `virtio-net-device,netdev=network,mac=${GUEST_MAC}`],
    ...['-object', 'rng-random,id=entropy,filename=/dev/urandom'],
    ...['-device', 'virtio-rng-device,rng=entropy'],
    ...['-chardev', 'ringbuf,id=console,size=65536', '-serial', 'chardev:console'],
    ...['-qmp', `unix:${qmpPath},server=on,wait=off`],
  ];
}

async function loadState(
  qmp: Qmp,
  socketPath: string,
  statePath: string,
  signal: AbortSignal,
): Promise<void> {
  await leaveMemoryOut(qmp);
  await qmp.execute('migrate-incoming', { uri: `unix:${socketPath}` });
  // QEMU may close the connection as soon as it has read what it needs.
  const connection = connect(socketPath).on('error', () => undefined);
  connection.end(await readFile(statePath));
  const loaded = async () => {
    const { status } = (await qmp.execute('query-status')) as { status: string };
    if (status === 'inmigrate') throw new Error('the state is not loaded yet');
  };
  await retry(loaded, { ...POLL, signal });
}

/** The memory is in a file of its own. */
export async function leaveMemoryOut(qmp: Qmp): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }];
  await qmp.execute('migrate-set-capabilities', { capabilities });
}
