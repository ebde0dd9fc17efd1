/** A running QEMU machine, whether this agent started its VMM or found it. */
import type { Log } from '../../../lib/log/log.js';
import type { Machine, MachineExit, MachineRecord } from '../driver.js';
import type { MessagePipe } from '../launch/message-pipe.js';
import { GuestConsole } from './console.js';
import type { QmpEvent } from './qmp.js';
import { QmpLink } from './qmp-link.js';
import { qmpSocketPath } from './vmm-process.js';

/** Characters of console and of VMM messages that stand in the report of an exit. */
const DETAIL_LENGTH_MAX = 2000;

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
  readonly #console: GuestConsole;
  #destroying: Promise<void> | undefined;
  #exitKind: MachineExit['kind'] = 'exited';
  #guestsEnd = '';

  constructor(parts: QemuMachineParts) {
    this.record = parts.record;
    this.#parts = parts;
    this.#link = new QmpLink(
      qmpSocketPath(parts.record.runDirectory),
      (event) => this.#note(event),
      () => void parts.end.check(),
    );
    this.#console = new GuestConsole((command, args) => this.#link.execute(command, args));
    this.exited = parts.end.ended.then((how) => this.#exit(how));
  }

  get guestTarget(): string {
    return this.record.guestTarget;
  }

  /** @throws Error when the VMM does not answer, or the virtual processors do not run. */
  async checkRunning(signal?: AbortSignal): Promise<void> {
    const status = await this.#link.execute('query-status', {}, signal);
    if ((status as { running?: unknown } | null)?.running !== true) {
      throw new Error('the virtual processors do not run');
    }
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
    this.#console.close();
    this.#link.close();
    this.#parts.messages?.close().catch(() => undefined);
  }

  #note({ name, data }: QmpEvent): void {
    if (name === 'SHUTDOWN') {
      this.#guestsEnd = labelled('shutdown', String(data.reason));
    } else if (name === 'BLOCK_IO_ERROR') {
      this.#parts.log.warn('vmm could not use the disk', {
        device: String(data['node-name'] ?? data.device),
        operation: String(data.operation),
        host_disk_full: data.nospace === true,
      });
    }
  }
}

function labelled(label: string, text: string): string {
  const end = text.trim().slice(-DETAIL_LENGTH_MAX);
  return end && `${label}: ${end}`;
}
