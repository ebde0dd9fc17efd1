/** A running QEMU machine, whether this agent started its VMM or found it. */
import type { FileHandle } from 'node:fs/promises';
import type { Log } from '../../../lib/log/log.js';
import type { Machine, MachineExit, MachineMemory, MachineRecord, MachineSpec } from '../driver.js';
import type { MessagePipe } from '../launch/message-pipe.js';
import { GuestConsole } from './console.js';
import { activeLayerPath, putLayerOn } from './disk-layer.js';
import { vmmFailed } from './errors.js';
import { loadDeviceState } from './load-state.js';
import { locateMemory } from './memory-location.js';
import type { QmpEvent, QmpExecute } from './qmp.js';
import { QmpLink } from './qmp-link.js';
import { runState, stopProcessors } from './run-state.js';
import { receiveDeviceState, writeStateFile } from './save-state.js';
import { qmpSocketPath, stateSocketPath } from './vmm-process.js';

/** Characters of console and of VMM messages that stand in the report of an exit. */
const DETAIL_LENGTH_MAX = 2000;
/** Time between two lines of the log about a disk that fails, and characters of a name in them. */
const DISK_ERROR_LOG_PAUSE_MS = 10_000;
const NAME_LENGTH_MAX = 100;

/** How the end of the VMM is noticed. */
export interface VmmEnd {
  /** Resolves when the VMM has ended, with words for how. */
  readonly ended: Promise<string>;
  /** Called when there is a sign that it may have ended. */
  check(): void | Promise<void>;
  /** Called when nobody needs to know any more. */
  stop(): void;
}

export interface QemuMachineParts {
  record: MachineRecord;
  end: VmmEnd;
  /** Undefined when a found VMM has closed it. */
  messages: MessagePipe | undefined;
  /** Ends the VMM and frees what it holds; must be safe to run twice. */
  free: () => Promise<void>;
  log: Log;
}

export class QemuMachine implements Machine {
  readonly record: MachineRecord;
  readonly exited: Promise<MachineExit>;
  readonly #parts: QemuMachineParts;
  readonly #link: QmpLink;
  readonly #execute: QmpExecute = (...command) => this.#link.execute(...command);
  readonly #console: GuestConsole;
  #destroying: Promise<void> | undefined;
  #exitKind: MachineExit['kind'] = 'exited';
  #guestsEnd = '';
  #diskFull = false;
  #diskErrorsQuietUntil = 0;
  /** QEMU gives its state once in a stop; nothing changes it until the processors run. */
  #savedState: Buffer | undefined;
  /** The memory file that `locateMemory` has named. */
  #memoryFile: FileHandle | undefined;
  #onDiskFull: (() => void) | undefined;

  constructor(parts: QemuMachineParts) {
    this.record = parts.record;
    this.#parts = parts;
    this.#link = new QmpLink(qmpSocketPath(parts.record.runDirectory), {
      onEvent: (event) => this.#note(event),
      onConnected: () => void this.#askForFullDisk(),
      onClosed: () => void parts.end.check(),
    });
    this.#console = new GuestConsole(this.#execute);
    this.exited = parts.end.ended.then((how) => this.#exit(how));
  }

  get guestTarget(): string {
    return this.record.guestTarget;
  }

  get onDiskFull(): (() => void) | undefined {
    return this.#onDiskFull;
  }

  /** Who comes late, as after the agent's restart, is told at once. */
  set onDiskFull(listener: (() => void) | undefined) {
    this.#onDiskFull = listener;
    if (this.#diskFull) listener?.();
  }

  /** @throws Error when the VMM does not answer. */
  async checkAnswers(signal?: AbortSignal): Promise<void> {
    await runState(this.#execute, signal);
  }

  /** @throws Error when the VMM does not answer, or the virtual processors do not run. */
  async checkRunning(signal?: AbortSignal): Promise<void> {
    const state = await runState(this.#execute, signal);
    if (state !== 'running') throw new Error(`the virtual processors do not run: ${state}`);
  }

  async stop(): Promise<void> {
    await this.#attempt('could not be stopped', () => stopProcessors(this.#execute));
  }

  async run(): Promise<void> {
    this.#diskFull = false;
    this.#savedState = undefined;
    this.#closeMemory();
    await this.#attempt('could not go on', () => this.#execute('cont'));
  }

  async saveState(path: string): Promise<void> {
    await this.#attempt('could not save its state', async () => {
      this.#savedState ??= await receiveDeviceState(this.#execute, this.record.runDirectory);
      await writeStateFile(path, this.#savedState);
    });
  }

  /** Gives a VMM that waits for it the state of another machine, whose processors then stand still. */
  async loadState(path: string, signal: AbortSignal): Promise<void> {
    const socketPath = stateSocketPath(this.record.runDirectory);
    await loadDeviceState(this.#execute, socketPath, path, signal);
  }

  async locateMemory(): Promise<MachineMemory> {
    return this.#attempt('has no known memory', async () => {
      const { memory, file } = await locateMemory(this.record.pid);
      this.#closeMemory();
      this.#memoryFile = file;
      return memory;
    });
  }

  diskPath(): Promise<string> {
    return this.#attempt('has no known disk', () => activeLayerPath(this.#execute));
  }

  async switchDisk(rootfs: Pick<MachineSpec['rootfs'], 'path' | 'format'>): Promise<void> {
    await this.#attempt('could not take another disk', () =>
      putLayerOn(this.#execute, this.record.pid, rootfs),
    );
  }

  /** Keeps reading the console, to have it when the VMM ends. */
  followConsole(): void {
    this.#console.follow();
  }

  readConsole(): Promise<string> {
    return this.#console.read();
  }

  async destroy(): Promise<void> {
    this.#exitKind = 'destroyed';
    this.#destroying ??= this.#destroy().catch((error: unknown) => {
      this.#destroying = undefined;
      throw error;
    });
    await this.#destroying;
  }

  release(): void {
    this.#parts.end.stop();
    this.#letGo();
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw vmmFailed(what, error);
    }
  }

  async #destroy(): Promise<void> {
    await this.#parts.free();
    void this.#parts.end.check();
    await this.exited;
  }

  async #exit(how: string): Promise<MachineExit> {
    const kind = this.#exitKind;
    const messages = (await this.#parts.messages?.read().catch(() => '')) ?? '';
    this.#letGo();
    const detail = [
      how,
      this.#guestsEnd,
      labelled('messages', messages),
      labelled('console', this.#console.lastText),
    ];
    return { kind, detail: detail.filter(Boolean).join('; ') };
  }

  #letGo(): void {
    this.#closeMemory();
    this.#console.close();
    this.#link.close();
    this.#parts.messages?.close().catch(() => undefined);
  }

  #closeMemory(): void {
    this.#memoryFile?.close().catch(() => undefined);
    this.#memoryFile = undefined;
  }

  #note({ name, data }: QmpEvent): void {
    if (name === 'SHUTDOWN') {
      this.#guestsEnd = labelled('shutdown', String(data.reason));
    } else if (name === 'BLOCK_IO_ERROR') {
      this.#logDiskError(data);
      if (data.nospace === true) this.#noteFullDisk();
    }
  }

  /** Each request that fails has an event, and a VMM that was broken into may send any. */
  #logDiskError(data: QmpEvent['data']): void {
    const now = performance.now();
    if (now < this.#diskErrorsQuietUntil) return;
    this.#diskErrorsQuietUntil = now + DISK_ERROR_LOG_PAUSE_MS;
    this.#parts.log.warn('vmm could not use the disk', {
      device: String(data['node-name'] ?? data.device).slice(0, NAME_LENGTH_MAX),
      operation: String(data.operation).slice(0, NAME_LENGTH_MAX),
      host_disk_full: data.nospace === true,
    });
  }

  /** For a write that failed while nobody was connected. */
  async #askForFullDisk(): Promise<void> {
    const state = await runState(this.#execute).catch(() => undefined);
    if (state === 'io-error') this.#noteFullDisk();
  }

  /** Each write that waits for room has an event of its own. */
  #noteFullDisk(): void {
    if (this.#diskFull) return;
    this.#diskFull = true;
    this.#onDiskFull?.();
  }
}

function labelled(label: string, text: string): string {
  const end = text.trim().slice(-DETAIL_LENGTH_MAX);
  return end && `${label}: ${end}`;
}
