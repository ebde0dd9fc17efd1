/**
 * The way to a machine's QMP socket for as long as the machine lives: connects
 * when it is needed, and again after the connection has ended.
 */
import { lstat } from 'node:fs/promises';
import { QmpClient, type QmpEvent } from './qmp.js';

export class QmpLink {
  readonly #path: string;
  readonly #onEvent: (event: QmpEvent) => void;
  readonly #onClosed: () => void;
  #client: Promise<QmpClient> | undefined;
  #closed = false;

  /** @param onClosed called when a connection has ended, which may mean that the VMM has. */
  constructor(path: string, onEvent: (event: QmpEvent) => void, onClosed: () => void) {
    this.#path = path;
    this.#onEvent = onEvent;
    this.#onClosed = onClosed;
  }

  /** @throws Error as QmpClient does. */
  async execute(
    command: string,
    args: Record<string, unknown> = {},
    signal?: AbortSignal,
  ): Promise<unknown> {
    const client = await this.#connected(signal);
    return client.execute(command, args, signal);
  }

  close(): void {
    this.#closed = true;
    void this.#client?.then(
      (client) => client.close(),
      () => undefined,
    );
  }

  /** Those who need a connection at the same time share one. */
  async #connected(signal?: AbortSignal): Promise<QmpClient> {
    if (this.#closed) throw new Error('the machine was let go of');
    this.#client ??= this.#connect(signal);
    return this.#client;
  }

  async #connect(signal?: AbortSignal): Promise<QmpClient> {
    try {
      await this.#checkSocket();
      const client = await QmpClient.connect(this.#path, { onEvent: this.#onEvent, signal });
      void client.closed.then(() => {
        this.#client = undefined;
        this.#onClosed();
      });
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  /** The folder belongs to the VMM: a symbolic link in it may lead to a socket of somebody else. */
  async #checkSocket(): Promise<void> {
    if (!(await lstat(this.#path)).isSocket()) throw new Error('the QMP socket is none');
  }
}
