/** The handlers of HostAgentService: they translate, the sandbox layer decides. */
import { posix } from 'node:path';
import type { HostAgentServiceService } from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import type { Handlers } from '../../lib/rpc/service.js';
import type { SandboxManager } from '../sandbox/manager.js';
import type { TemplateCatalog } from '../sandbox/template-catalog.js';
import type { VmmDriver } from '../vmm/driver.js';
import { fileHandlers } from './file.js';
import { toForkResult, toGeneration, toSnapshot } from './generation-message.js';
import { processHandlers } from './process.js';
import { toListedMessage, toPausedMessage, toSandboxMessage } from './sandbox-message.js';

/** Largest file that a unary call carries. */
export const FILE_BYTES_MAX = 3 * 1024 * 1024;

export interface HostAgentParts {
  hostId: string;
  /** Random id of this run of the agent. */
  runId: string;
  driver: VmmDriver;
  templates: TemplateCatalog;
  manager: SandboxManager;
}

export type HostAgentHandlers = Handlers<typeof HostAgentServiceService, undefined>;

export function hostAgentHandlers({
  hostId,
  runId,
  driver,
  templates,
  manager,
}: HostAgentParts): HostAgentHandlers {
  return {
    getHost: async () => ({
      hostId,
      runId,
      driver: driver.name,
      accelerator: driver.accelerator,
      templates: templates.names(),
      memoryMbTotal: manager.memoryMbMax,
      memoryMbUsed: manager.memoryMbUsed,
    }),

    createSandbox: async (context, request) =>
      toSandboxMessage(await manager.create(request, context.signal)),

    // Freeing goes on when the caller goes away: a half-destroyed sandbox helps nobody.
    destroySandbox: async (_context, { sandboxId, generation }) => {
      await manager.destroy(sandboxId, generation);
      return {};
    },

    listSandboxes: async () => ({
      sandboxes: manager.list().map(toListedMessage),
      runId,
      complete: manager.complete,
    }),

    watchChanges: async function* (context) {
      for (let seen = -1; ; ) {
        seen = await manager.changes.after(seen, context.signal);
        yield {};
      }
    },

    pingSandbox: async (_context, { sandboxId }) => toSandboxMessage(await manager.ping(sandboxId)),

    // A machine that is being written down or brought back must not depend on who waits for it.
    pauseSandbox: async (_context, { sandboxId, generation }) =>
      toPausedMessage(await manager.pause(sandboxId, generation)),

    resumeSandbox: async (_context, { sandboxId, generation, cold }) => {
      const { sandbox, steps } = await manager.resume(sandboxId, generation, cold);
      return { sandbox: toSandboxMessage(sandbox), steps };
    },

    setSandboxTimeout: async (_context, { sandboxId, timeoutSec, pauseOnTimeout }) =>
      toListedMessage(await manager.setTimeout(sandboxId, { timeoutSec, pauseOnTimeout })),

    createSnapshot: async (_context, request) => toSnapshot(await manager.createSnapshot(request)),

    deleteSnapshot: async (_context, { snapshotId }) => {
      await manager.deleteSnapshot(snapshotId);
      return {};
    },

    forkSandbox: async (context, { sandboxId, childIds }) => {
      const results = await manager.fork(sandboxId, childIds, context.signal);
      return { results: results.map(toForkResult) };
    },

    listGenerations: async (_context, { sandboxId }) => ({
      generations: (await manager.listGenerations(sandboxId)).map(toGeneration),
    }),

    verifyGeneration: async (_context, { sandboxId }) => manager.verifyGeneration(sandboxId),

    ...wholeCallHandlers(manager),
    ...processHandlers(manager.programs),
    ...fileHandlers(manager.files),
  };
}

/** Programs and files that one message holds whole. */
function wholeCallHandlers(
  manager: SandboxManager,
): Pick<HostAgentHandlers, 'exec' | 'writeFile' | 'readFile'> {
  return {
    exec: async (context, request) =>
      manager.withGuest(request.sandboxId, (guest) => guest.exec(request, context.signal)),

    writeFile: async (context, request) =>
      manager.withGuest(request.sandboxId, (guest) => guest.writeFile(request, context.signal)),

    readFile: async (context, { sandboxId, path }) =>
      manager.withGuest(sandboxId, (guest) =>
        guest.readFile(
          { path: posix.normalize(path), sizeBytesMax: FILE_BYTES_MAX },
          context.signal,
        ),
      ),
  };
}
