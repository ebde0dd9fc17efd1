/**
 * A gRPC server of the host agent's list, for what the command line does with
 * sandboxes: pausing and destroying work, and a test scripts what goes wrong.
 */
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  HostAgentServiceService,
  Sandbox,
  SandboxState as State,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { silentLog } from '../../lib/log/log.js';
import { type Handlers, serve } from '../../lib/rpc/service.js';
import { temporaryDirectory } from './temporary-directory.js';

type AgentHandlers = Handlers<typeof HostAgentServiceService, undefined>;

/** What the agent has; a test changes it. */
export class ListedHost {
  readonly sandboxes = new Map<string, Sandbox>();
  /** Pauses and destructions as they came, such as `pause ID GENERATION`. */
  readonly calls: string[] = [];
  complete = true;
  /** Runs before each list. */
  beforeList: () => void = () => undefined;
  /** Throws to fail a pause. */
  beforePause: (sandboxId: string) => void = () => undefined;

  add(sandboxId: string, state: State, generation = 1): void {
    this.sandboxes.set(sandboxId, Sandbox.fromPartial({ sandboxId, state, generation }));
  }

  handlers(): Partial<AgentHandlers> {
    return {
      listSandboxes: async () => {
        this.beforeList();
        const sandboxes = [...this.sandboxes.values()];
        return { sandboxes, runId: 'run', complete: this.complete };
      },
      pauseSandbox: async (_, { sandboxId, generation }) => {
        this.calls.push(`pause ${sandboxId} ${generation}`);
        this.beforePause(sandboxId);
        this.add(sandboxId, State.SANDBOX_STATE_PAUSED, generation);
        return Sandbox.fromPartial({ sandboxId });
      },
      destroySandbox: async (_, { sandboxId, generation }) => {
        this.calls.push(`destroy ${sandboxId} ${generation}`);
        this.sandboxes.delete(sandboxId);
        return {};
      },
    };
  }
}

/** Starts the server on a socket of its own. */
export async function withListedHost(
  use: (host: ListedHost, socketPath: string) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory();
  const socketPath = join(directory.path, 'agent.sock');
  const host = new ListedHost();
  const server = new Server();
  serve(server, HostAgentServiceService, host.handlers() as AgentHandlers, {
    log: silentLog,
    authenticate: () => undefined,
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  try {
    await use(host, socketPath);
  } finally {
    server.forceShutdown();
  }
}
