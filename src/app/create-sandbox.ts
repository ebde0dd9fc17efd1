/**
 * Creating a sandbox: a row in state STARTING, the boot on the host, the row
 * RUNNING. Whatever happens in between, nothing leaks:
 *
 *     the host refused it                 the row goes away
 *     the boot failed                     the row stays, FAILED with the reason
 *     the caller went away                sandbox and row go away: it never learnt the id
 *     it was deleted meanwhile            the delete wins, the caller gets SANDBOX_CONFLICT
 *     this process died                   the reconciler finishes or ends it
 */

import type { Sandbox as HostSandbox } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { hasReason, type Reason, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { Log } from '../../lib/log/log.js';
import { fromTimestamp } from '../../lib/rpc/timestamp.js';
import type { HostAgent } from '../hosts/host-agent.js';
import { place, templateNotFound } from '../scheduler/place.js';
import type { Stores } from '../store/index.js';
import type { NewSandbox, SandboxChange, SandboxRecord, TimeoutAction } from '../store/sandbox.js';
import type { TemplateRecord } from '../store/template.js';
import type { Background } from './background.js';
import type { InFlight } from './in-flight.js';
import { sandboxConflict, snapshotShape } from './sandbox-errors.js';
import type { SandboxRemover } from './sandbox-remover.js';

const TEMPLATE_DEFAULT = 'minimal';
const VCPUS_DEFAULT = 1;
const MEMORY_MB_DEFAULT = 512;

/** Answers of the host after which nothing of the sandbox exists there. */
const REFUSALS: readonly Reason[] = [
  'HOST_EXHAUSTED',
  'NETWORK_EXHAUSTED',
  'HOST_DISK_FULL',
  'OVERLOADED',
  'TEMPLATE_NOT_FOUND',
  'SNAPSHOT_NOT_FOUND',
  'SNAPSHOT_INCOMPATIBLE',
  'SNAPSHOT_DAMAGED',
];

export interface CreateSandboxParts {
  stores: Stores;
  host: HostAgent;
  remover: SandboxRemover;
  inFlight: InFlight;
  background: Background;
  log: Log;
  /** Sandboxes that a team may have. */
  teamSandboxesMax: number;
}

/** What to start; empty and 0 mean the default, or what the snapshot has baked in. */
export interface SandboxWish {
  template: string;
  vcpus: number;
  memoryMb: number;
  timeoutSec: number;
  onTimeout: TimeoutAction;
  /** Secrets of the owner: they go to the host and are stored nowhere. */
  env: Record<string, string>;
  metadata: Record<string, string>;
}

export class SandboxCreator {
  readonly #parts: CreateSandboxParts;

  constructor(parts: CreateSandboxParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the sandbox takes commands.
   * @throws TEMPLATE_NOT_FOUND, SANDBOX_LIMIT, HOST_UNAVAILABLE, HOST_EXHAUSTED and what a boot may fail of.
   * @throws SNAPSHOT_SHAPE for other vcpus or memory than the snapshot's.
   */
  async create(teamId: string, wish: SandboxWish, signal: AbortSignal): Promise<SandboxRecord> {
    const { stores, inFlight, background, teamSandboxesMax } = this.#parts;
    const template = await this.#findTemplate(teamId, wish.template || TEMPLATE_DEFAULT);
    const planned = await this.#plan(teamId, template, wish);
    signal.throwIfAborted();
    // Held before the row exists, so that the reconciler never sees it unattended.
    return background.track(
      inFlight.hold(planned.id, async () => {
        const [sandbox] = await stores.sandboxes.create([planned], teamSandboxesMax);
        return this.#boot(sandbox as SandboxRecord, template, wish.env, signal);
      }),
    );
  }

  async #findTemplate(teamId: string, name: string): Promise<TemplateRecord> {
    const template = await this.#parts.stores.templates.find(teamId, name);
    if (!template) throw templateNotFound(name);
    return template;
  }

  async #plan(teamId: string, template: TemplateRecord, wish: SandboxWish): Promise<NewSandbox> {
    const shape = shapeOf(wish, template);
    const placement = {
      template: template.name,
      memoryMb: shape.memoryMb,
      snapshotHostId: template.snapshot?.hostId,
    };
    return {
      ...{ id: randomId(), teamId, templateId: template.id },
      hostId: place(placement, await this.#parts.host.getHost()),
      ...shape,
      timeoutSec: wish.timeoutSec,
      onTimeout: wish.onTimeout,
      metadata: wish.metadata,
    };
  }

  async #boot(
    sandbox: SandboxRecord,
    template: TemplateRecord,
    env: Record<string, string>,
    signal: AbortSignal,
  ): Promise<SandboxRecord> {
    try {
      const request = toHostRequest(sandbox, template, env);
      const booted = await this.#parts.host.createSandbox(request, signal);
      signal.throwIfAborted();
      return await this.#change(sandbox, toRunning(booted));
    } catch (error) {
      const failure = WrennError.from(error);
      await this.#clearAway(sandbox, failure, signal);
      throw failure;
    }
  }

  /** Leaves behind what the head of this file says. What fails here the reconciler does again. */
  async #clearAway(
    sandbox: SandboxRecord,
    failure: WrennError,
    signal: AbortSignal,
  ): Promise<void> {
    const { remover, log } = this.#parts;
    try {
      if (signal.aborted) {
        await remover.remove(await this.#change(sandbox, { state: 'DELETING' }));
      } else if (REFUSALS.includes(failure.reason)) {
        await this.#change(sandbox, { state: 'DELETED', stateReason: failure.reason });
      } else {
        await this.#change(sandbox, { state: 'FAILED', stateReason: failure.reason });
        await remover.destroyOnHost(sandbox);
      }
    } catch (error) {
      if (!hasReason(error, 'SANDBOX_CONFLICT')) {
        log.warn('failed create not cleared away yet', { sandbox_id: sandbox.id, error });
      }
      // Whoever changed the row may not know of a boot that has succeeded since.
      await remover.destroyOnHost(sandbox).catch(() => undefined);
    }
  }

  async #change(sandbox: SandboxRecord, change: SandboxChange): Promise<SandboxRecord> {
    const changed = await this.#parts.stores.sandboxes.change(sandbox, change);
    if (!changed) throw sandboxConflict(sandbox.id);
    return changed;
  }
}

function shapeOf(
  { vcpus, memoryMb }: SandboxWish,
  { snapshot }: TemplateRecord,
): { vcpus: number; memoryMb: number } {
  if (!snapshot) {
    return { vcpus: vcpus || VCPUS_DEFAULT, memoryMb: memoryMb || MEMORY_MB_DEFAULT };
  }
  const fits =
    (vcpus || snapshot.vcpus) === snapshot.vcpus &&
    (memoryMb || snapshot.memoryMb) === snapshot.memoryMb;
  if (!fits) throw snapshotShape(snapshot);
  return { vcpus: snapshot.vcpus, memoryMb: snapshot.memoryMb };
}

function toHostRequest(
  sandbox: SandboxRecord,
  template: TemplateRecord,
  env: Record<string, string>,
) {
  return {
    sandboxId: sandbox.id,
    generation: sandbox.generation,
    template: sandbox.template,
    vcpus: sandbox.vcpus,
    memoryMb: sandbox.memoryMb,
    timeoutSec: sandbox.timeoutSec,
    pauseOnTimeout: sandbox.onTimeout === 'pause',
    snapshotId: template.snapshot ? template.id : '',
    env,
  };
}

/** The state RUNNING of a sandbox as its host describes it. */
export function toRunning({ guestIp, hostIp, startedAt, diskFull }: HostSandbox): SandboxChange {
  return {
    state: 'RUNNING',
    guestIp,
    hostIp,
    startedAt: new Date(startedAt ? fromTimestamp(startedAt) : Date.now()),
    stateReason: diskFull ? 'DISK_FULL' : undefined,
  };
}
