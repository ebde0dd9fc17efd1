/** Ends sandboxes for good: first on the host, then in the database. */
import type { HostAgent } from '../hosts/host-agent.js';
import type { SandboxRecord, SandboxStore } from '../store/sandbox.js';

export class SandboxRemover {
  readonly #store: SandboxStore;
  readonly #host: HostAgent;

  constructor(store: SandboxStore, host: HostAgent) {
    this.#store = store;
    this.#host = host;
  }

  /**
   * Ends a sandbox in state DELETING.
   * @throws HOST_UNAVAILABLE when its host does not answer, or is not this control plane's;
   * the state stays, and the reconciler of its host tries again.
   */
  async remove(sandbox: SandboxRecord): Promise<void> {
    await this.#host.requireHost(sandbox.hostId);
    await this.destroyOnHost(sandbox);
    // If the row has changed, another call has finished the same delete.
    await this.#store.change(sandbox, { state: 'DELETED', stateReason: sandbox.stateReason });
  }

  /** Ends what the host has of a sandbox; nothing is fine, too. */
  async destroyOnHost(sandbox: { id: string; generation: number }): Promise<void> {
    await this.#host.destroySandbox({ sandboxId: sandbox.id, generation: sandbox.generation });
  }
}
