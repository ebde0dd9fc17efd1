/** The agent behind a server that only passes calls on (pass-through.ts), in a process of its own. */
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { packageRoot } from '../lib/files/package-root.js';
import { createClient } from '../lib/rpc/client.js';
import { BackgroundProcess } from './background-process.js';
import type { AgentClient } from './platform.js';

const PROGRAM = join(packageRoot(), 'dist', 'bench', 'pass-through.js');
const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 10_000;

export interface Proxy extends AsyncDisposable {
  /** Client of the agent, through the proxy. */
  agent: AgentClient;
}

/** @param socketPath of the agent. */
export async function startProxy(socketPath: string): Promise<Proxy> {
  const program = new BackgroundProcess({
    command: [process.execPath, PROGRAM, socketPath],
    deathSignal: 'KILL',
  });
  const address = await program.firstLine(START_TIMEOUT_MS);
  const agent = createClient(HostAgentServiceService, address, credentials.createInsecure());
  return {
    agent,
    [Symbol.asyncDispose]: async () => {
      agent.close();
      await program.end('SIGTERM', END_TIMEOUT_MS);
    },
  };
}
