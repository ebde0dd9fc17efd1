/**
 * The way to a machine's QMP socket for as long as the machine lives: connects
 * when it is needed, and again after the connection has ended.
 */
import { lstat } from 'node:fs/promises';
import { QmpClient, type QmpEvent, type QmpExecuteOptions } from './qmp.js';

export interface QmpLinkListener {
  onEvent(event: QmpEvent): void;
  /** Called for each new connection: events before it went unheard. */
  onConnected(): void;
  /** Called when a connection has ended, which may mean that the VMM has. */
  onClosed(): void;
}

export class QmpLink {
  readonly #path: string;
  readonly #listener: QmpLinkListener;
  #client: Promise<QmpClient> | undefined;
  #closed = false;

  /** @param listener must not throw. */
  constructor(path: string, listener: QmpLinkListener) {
    this.#path = path;
    this.#listener = listener;
  }

  /** @throws Error as QmpClient does. */
  async execute(
    command: string,
    args: Record<string, unknown> = {},
    options: QmpExecuteOptions = {},
  ): Promise<unknown> {
    const client = await this.#connected(options.signal);
    return client.execute(command, args, options);
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
      const onEvent = (event: QmpEvent) => this.#listener.onEvent(event);
      const client = await QmpClient.connect(this.#path, { onEvent, signal });
      void client.closed.then(() => {
        this.#client = undefined;
        this.#listener.onClosed();
      });
      this.#listener.onConnected();
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
