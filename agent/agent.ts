/** Puts the agent together: instance, driver, network, ledger, manager, server. */
import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { randomId } from '../lib/ids/random-id.js';
import { claimDirectory } from '../lib/lifecycle/claim.js';
import { Rollback } from '../lib/lifecycle/rollback.js';
import type { Log } from '../lib/log/log.js';
import { hostAgentHandlers } from './api/host-agent.js';
import type { AgentConfig } from './config.js';
import { type Instance, loadInstance } from './instance.js';
import { Ledger } from './ledger/ledger.js';
import { fakeParts } from './parts/fake.js';
import type { HostParts } from './parts/host-parts.js';
import { qemuParts } from './parts/qemu.js';
import type { Host, HostLimits } from './sandbox/host.js';
import { SandboxManager } from './sandbox/manager.js';
import { startServer } from './server.js';
import { openSnapshotStore } from './snapshot/open-store.js';
import { snapshotsFolder } from './state-folders.js';
import type { VmmDriver } from './vmm/driver.js';

/** Time from the start of a boot to a guest daemon that answers, by accelerator. */
const BOOT_TIMEOUT_MS = { kvm: 30_000, tcg: 120_000, none: 30_000 } as const;
/** Boots at once for each CPU: emulation keeps one busy, hardware hardly, and the fake not at all. */
const BOOTS_PER_CPU = { kvm: 8, tcg: 1, none: 1000 } as const;

export interface Agent {
  /** Stops serving and lets go of the running machines. Idempotent. */
  close(): Promise<void>;
}

/** @throws WrennError that says what the machine lacks. */
export async function startAgent(config: AgentConfig, log: Log): Promise<Agent> {
  await using rollback = new Rollback((step, error) => log.error('undo failed', { step, error }));
  // Before anything else: a second agent would sweep what the first one holds.
  for (const [role, directory] of claims(config)) {
    const claim = await claimDirectory(role, directory);
    rollback.defer('claim', () => claim.release());
  }

  const instance = await loadInstance(config.stateDirectory);
  const parts =
    config.driver === 'fake' ? fakeParts(config) : await qemuParts(config, instance, log);
  rollback.defer('network', () => parts.network.close());

  const host = await openHost(config, parts, log);
  const manager = new SandboxManager(host);
  rollback.defer('sandbox manager', () => manager.close());

  const handlers = hostAgentHandlers({ ...identity(instance), ...parts, manager });
  const server = await startServer(config.socketPath, handlers, log);
  rollback.defer('server', () => server.close());
  rollback.defer('streams', () => manager.endStreams());

  await manager.recovered();
  log.info('agent ready', {
    instance_id: instance.instanceId,
    driver: parts.driver.name,
    accelerator: parts.driver.accelerator,
    sandboxes: manager.list().length,
  });
  const owned = rollback.commit();
  return { close: async () => void (await owned.undo()) };
}

function claims({
  stateDirectory,
  runDirectory,
  socketPath,
}: AgentConfig): [role: string, directory: string][] {
  return [
    ['agent', stateDirectory],
    ['agent', runDirectory],
    [`agent on ${basename(socketPath)}`, dirname(socketPath)],
  ];
}

function identity(instance: Instance) {
  return { hostId: instance.hostId, runId: randomId() };
}

async function openHost(config: AgentConfig, parts: HostParts, log: Log): Promise<Host> {
  const runDirectory = join(config.runDirectory, 'sandboxes');
  await mkdir(runDirectory, { recursive: true, mode: 0o755 });
  return {
    ...parts,
    log,
    ledger: await Ledger.open(join(config.runDirectory, 'ledger')),
    snapshots: await openSnapshotStore(snapshotsFolder(config.stateDirectory), { log }),
    limits: limitsFor(config, parts.driver),
    runDirectory,
    stateDirectory: config.stateDirectory,
  };
}

function limitsFor(config: AgentConfig, { accelerator }: VmmDriver): HostLimits {
  return {
    memoryMbMax: config.memoryMbMax,
    bootsAtOnceMax: Math.max(1, cpus().length * BOOTS_PER_CPU[accelerator]),
    bootTimeoutMs: BOOT_TIMEOUT_MS[accelerator],
    warmTemplatesMax: config.warmTemplatesMax,
    readyMachinesMax: config.readyMachinesMax,
  };
}
